// Memory that runs out at any allocation of an index: std::bad_alloc, no leak, and the index as it was.
#include <memory>
#include <numeric>
#include <random>

#include "index/composed.hpp"
#include "tests/check.hpp"
#include "tests/failing_new.hpp"
#include "tests/index_bytes.hpp"

namespace annbench::tests {
namespace {

constexpr std::size_t dim = 16, n = 60, more = 20, nlist = 3, count = 3, k = 7;

using Vectors = std::vector<float>;
using Answer = std::pair<std::vector<std::int64_t>, Vectors>;

struct Inputs {
  Vectors vectors, queries, tables;
  std::vector<std::int64_t> ids;
  std::vector<std::uint32_t> lists;

  Inputs() : ids(n + more) {
    std::mt19937 random(31);
    std::normal_distribution<float> values;
    const auto fill = [&](Vectors& into, std::size_t size) {
      into.resize(size);
      for (float& value : into) value = values(random);
    };
    fill(vectors, (n + more) * dim);
    fill(queries, count * dim);
    fill(tables, dim * 16);
    std::iota(ids.begin(), ids.end(), 100);
    for (std::size_t i = 0; i < n + more; ++i) lists.push_back(static_cast<std::uint32_t>(i % nlist));
  }
};

std::vector<CodecSettings> every_codec(const Inputs& in) {
  std::vector<CodecSettings> all;
  const auto codec = [&](CodecKind kind, std::uint32_t bits, std::uint32_t second_bits = 0) -> CodecSettings& {
    all.emplace_back();
    all.back().kind = kind;
    all.back().bits = bits;
    all.back().second_bits = second_bits;
    return all.back();
  };
  codec(CodecKind::float32, 0);
  codec(CodecKind::float16, 0);
  codec(CodecKind::uniform, 4);
  codec(CodecKind::planes, 3);
  codec(CodecKind::two_level, 4, 8);
  codec(CodecKind::staged, 1, 4);
  codec(CodecKind::product, 4).tables = in.tables;
  CodecSettings& cells = codec(CodecKind::va_file, 0);
  cells.table_bits.assign(dim, 4);
  for (std::size_t i = 0; i < dim * 16; ++i) cells.tables.push_back(-2.5f + 0.35f * static_cast<float>(i % 16));
  return all;
}

std::unique_ptr<ComposedIndex> empty_index(const CodecSettings& codec, const Inputs& in, RerankKind rerank) {
  IndexSettings s;
  s.dim_in = s.dim = s.prefix_dim = dim;
  s.codec = codec;
  s.rerank = rerank;
  s.mean.assign(dim, 0.25f);
  s.query_map.assign(dim * dim, 0);
  for (std::size_t i = 0; i < dim; ++i) s.query_map[i * dim + dim - 1 - i] = 1;
  s.centroids.assign(in.vectors.begin(), in.vectors.begin() + nlist * dim);
  return std::make_unique<ComposedIndex>(std::move(s));
}

void add(ComposedIndex& index, const Inputs& in, std::size_t first, std::size_t rows) {
  const float* vectors = in.vectors.data() + first * dim;
  index.add(vectors, vectors, in.lists.data() + first, 1, in.ids.data() + first, rows);
}

Answer ask(const ComposedIndex& index, const Inputs& in) {
  Answer all;
  for (const bool shared : {false, true}) {
    Answer answer{std::vector<std::int64_t>(count * k), Vectors(count * k)};
    index.search(in.queries.data(), count, k, {nlist, 20, 1.9f, 1, shared}, answer.first.data(), answer.second.data());
    all.first.insert(all.first.end(), answer.first.begin(), answer.first.end());
    all.second.insert(all.second.end(), answer.second.begin(), answer.second.end());
  }
  return all;
}

// Runs `action` with its first, second, … allocation failing until it needs no more of them. One that keeps nothing must
// leave nothing allocated either.
template <class Action, class Unharmed>
void at_every_allocation(const std::string& what, bool keeps_nothing, const Action& action, const Unharmed& unharmed) {
  bool failed = true;
  std::size_t at = 0;
  for (; failed; ++at) {
    const Starved done = starve(at, action);
    failed = done.failed;
    const std::string where = what + " without memory, allocation " + std::to_string(at);
    check(done.thrown == failed, where + ": std::bad_alloc");
    check(!(keeps_nothing && done.leaked), where + ": no leak");
    check(!failed || unharmed(), where + ": all is as it was");
  }
  check(at > 1, what + " allocates");
}

void check_codec(const CodecSettings& codec, const Inputs& in, RerankKind rerank, const std::string& path) {
  const std::string name = "codec " + std::to_string(static_cast<int>(codec.kind)) + ": ";
  const auto whole = empty_index(codec, in, rerank);
  add(*whole, in, 0, n);
  const Answer before = ask(*whole, in);
  whole->save(path);
  const FileBytes saved = bytes_of_file(path);

  const auto unchanged = [] { return true; };
  at_every_allocation(name + "build", true, [&] { add(*empty_index(codec, in, rerank), in, 0, n); }, unchanged);
  at_every_allocation(name + "load", true, [&] { ComposedIndex::load(path); }, unchanged);
  at_every_allocation(name + "search", true, [&] { ask(*whole, in); }, [&] { return ask(*whole, in) == before; });
  at_every_allocation(name + "save", true, [&] { whole->save(path); }, unchanged);
  check(bytes_of_file(path) == saved, name + "an index that ran out of memory is saved as before");

  // One that meets a failure at each step of each change must in the end answer as one that never met any.
  const auto smooth = ComposedIndex::load(path);
  auto index = ComposedIndex::load(path);
  const auto same = [&] { return index->size() == smooth->size() && ask(*index, in) == ask(*smooth, in); };
  for (int round = 0; round < 2; ++round) {
    at_every_allocation(name + "remove", false, [&] { index->remove(in.ids.data() + 5, 30); }, same);
    smooth->remove(in.ids.data() + 5, 30);
    check(same(), name + "removed in the end");
    at_every_allocation(name + "add", false, [&] { add(*index, in, n, more); }, same);
    add(*smooth, in, n, more);
    check(same(), name + "added in the end");
    for (ComposedIndex* one : {index.get(), smooth.get()}) {
      one->remove(in.ids.data() + n, more);
      add(*one, in, 5, 30);
    }
    check(same(), name + "and it can be changed again");
  }
  // What compact gave back before it failed must not be written to. Of ids it may keep more than it needs, and not throw.
  bool failed = true;
  std::size_t at = 0;
  for (; failed; ++at) {
    for (ComposedIndex* one : {index.get(), smooth.get()}) one->remove(in.ids.data() + 30, 30);
    {
      const FailAllocation failure(at);
      try {
        index->compact();
      } catch (const std::bad_alloc&) {
      }
      failed = failure.happened();
    }
    for (ComposedIndex* one : {index.get(), smooth.get()}) add(*one, in, 30, 30);
    check(same(), name + "compacted without memory, allocation " + std::to_string(at));
  }
  check(at > nlist, name + "compact allocates");
}

}  // namespace

void test_memory_failures() {
  const TemporaryFolder folder;
  const Inputs in;
  std::size_t number = 0;
  for (const CodecSettings& codec : every_codec(in))
    check_codec(codec, in, static_cast<RerankKind>(number++ % 4), folder.file("index"));
}

}  // namespace annbench::tests
