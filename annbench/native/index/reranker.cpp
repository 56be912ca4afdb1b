#include "index/reranker.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "codecs/float_rows.hpp"
#include "codecs/uniform_rows.hpp"
#include "structures/nearest_first.hpp"
#include "support/prefetch.hpp"

namespace annbench {
namespace {

constexpr std::size_t rows_ahead = 32;  // that are asked for before they are needed, while the query before has its turn

template <Codec C>
class RerankerOf final : public Reranker {
 public:
  RerankerOf(C codec, bool centred, bool exact) : codec_(std::move(codec)), centred_(centred), exact_(exact) {}

  std::size_t code_bytes(std::size_t part, std::size_t count) const override { return codec_.bytes(part, count); }
  void reserve_codes(CodeList& list, std::size_t count) const override { reserve(codec_, list.rerank, count); }
  void encode(CodeList& list, const float* vectors, const float* bias, std::size_t count, std::size_t first) const override {
    codec_.encode(vectors, bias, nullptr, count, view(list.rerank), first);
  }
  void move(CodeList& list, std::size_t from, std::size_t to) const override { codec_.move(view(list.rerank), from, to); }
  void decode(const CodeList& list, std::size_t place, float* vector) const override {
    codec_.decode(view(list.rerank), place, 1, vector);
  }
  bool centred() const override { return centred_; }
  bool exact() const override { return exact_; }

  void rescore(const KernelTable& kernels, const float* queries, const std::vector<CodeList>& lists,
               std::span<std::vector<Scored>> found, std::unique_ptr<Room>& room) const override {
    if (room == nullptr) room = std::make_unique<Mine>();
    auto& [prepared, places, scores, order] = static_cast<Mine&>(*room);
    for (std::size_t q = 0; q < found.size(); ++q) {
      std::vector<Scored>& mine = found[q];
      if (q == 0) ask_for_first(lists, mine);
      if (q + 1 < found.size()) ask_for_first(lists, found[q + 1]);
      codec_.prepare(kernels, queries + q * codec_.dim(), prepared);
      places.resize(mine.size());
      scores.resize(mine.size());
      // Those that follow one another in a list at once; mostly all, because there is one list.
      for (std::size_t first = 0, end = 0, asked = 0; first < mine.size(); first = end) {
        for (; asked < std::min(first + 1 + rows_ahead, mine.size()); ++asked)
          if (asked >= rows_ahead) ask_for(lists, mine[asked]);
        const std::size_t list = list_of(mine[first].id);
        for (; end < mine.size() && list_of(mine[end].id) == list; ++end)
          places[end] = static_cast<std::uint32_t>(place_of(mine[end].id));
        codec_.refine(kernels, prepared, {}, view(lists[list].rerank), &places[first], end - first, &scores[first]);
      }
      take(scores, mine);
      order.sort(kernels, mine);
    }
  }

  void rescore_rows(const KernelTable& kernels, const float* query, const CodesView& rows,
                    std::span<Scored> found) const override {
    typename C::Query prepared;
    codec_.prepare(kernels, query, prepared);
    std::vector<float> scores(found.size());
    codec_.score(kernels, prepared, {}, rows, 0, found.size(), scores.data());
    take(scores, found);
  }

 private:
  struct Mine final : Room {
    typename C::Query prepared;
    std::vector<std::uint32_t> places;
    std::vector<float> scores;
    NearestFirst order;
  };

  // NaN is as far as anything.
  static void take(std::span<const float> scores, std::span<Scored> found) {
    for (std::size_t i = 0; i < found.size(); ++i)
      found[i].score = scores[i] == scores[i] ? scores[i] : -std::numeric_limits<float>::infinity();
  }

  void ask_for_first(const std::vector<CodeList>& lists, std::span<const Scored> found) const {
    for (const Scored& one : found.first(std::min(rows_ahead, found.size()))) ask_for(lists, one);
  }
  void ask_for(const std::vector<CodeList>& lists, const Scored& one) const {
    const std::size_t place = place_of(one.id), begin = codec_.bytes(0, place);
    prefetch(lists[list_of(one.id)].rerank[0].data() + begin, codec_.bytes(0, place + 1) - begin);
  }

  C codec_;
  bool centred_, exact_;
};

template <class C>
std::unique_ptr<Reranker> reranker_of(C codec, bool centred, bool exact) {
  return std::make_unique<RerankerOf<C>>(std::move(codec), centred, exact);
}

}  // namespace

std::unique_ptr<Reranker> make_reranker(const IndexSettings& s, float weight) {
  const FloatScore score = s.metric == Metric::euclidean ? FloatScore::squared_l2 : FloatScore::inner_product;
  switch (s.rerank) {
    case RerankKind::none: return nullptr;
    case RerankKind::float16:
      return reranker_of(FloatRows(s.dim_in, FloatType::float16, score, 1, s.rerank_scale), false, true);
    case RerankKind::float32: return reranker_of(FloatRows(s.dim_in, FloatType::float32, score, 1), false, true);
    case RerankKind::uniform:
      return reranker_of(UniformRows(s.dim_in, static_cast<int>(s.rerank_bits), UniformFit::rabitq_fast, weight), true, false);
  }
  throw std::invalid_argument("there is no such way to re-rank");
}

}  // namespace annbench
