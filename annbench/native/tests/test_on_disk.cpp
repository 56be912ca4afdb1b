// Indexes with parts on disk beside the same in memory.
#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <numeric>
#include <random>
#include <stdexcept>

#include "index/composed.hpp"
#include "io/index_file.hpp"
#include "support/thread_pool.hpp"
#include "tests/check.hpp"
#include "tests/failing_new.hpp"
#include "tests/index_bytes.hpp"

namespace annbench::tests {
namespace {

constexpr std::size_t n = 700, dim = 24, nlist = 5, degree = 9, count = 13;

using Vectors = std::vector<float>;
using Answer = std::pair<std::vector<std::int64_t>, Vectors>;

Vectors normal(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> values;
  Vectors made(size);
  for (float& value : made) value = values(random);
  return made;
}

std::unique_ptr<ComposedIndex> made(Metric metric, RerankKind rerank, bool inverted, std::size_t assignments = 1) {
  IndexSettings s;
  s.metric = metric;
  s.dim_in = s.dim = dim;
  s.mean.assign(dim, 0.25f);
  s.codec.bits = 4;
  s.rerank = rerank;
  if (inverted) {
    s.prefix_dim = dim;
    s.centroids = normal(nlist * dim, 2);
  }
  auto index = std::make_unique<ComposedIndex>(std::move(s));
  const Vectors vectors = normal(n * dim, 1);
  std::vector<std::uint32_t> lists;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t a = 0; a < assignments; ++a)
      lists.push_back(inverted ? static_cast<std::uint32_t>((i * i + a) % nlist) : 0);
  std::vector<std::int64_t> ids(n);
  std::iota(ids.begin(), ids.end(), 1000);
  index->add(vectors.data(), vectors.data(), lists.data(), assignments, ids.data(), n);
  if (inverted) return index;
  Graph graph(n, degree);
  std::mt19937 random(3);
  for (std::size_t node = 0; node < n; ++node)
    for (std::size_t i = 0; i < degree - node % 2; ++i) graph.row(node)[i] = static_cast<std::uint32_t>(random() % n);
  graph.entries = {3, 500};
  index->set_graph(std::move(graph));
  return index;
}

Answer ask(const ComposedIndex& index, std::size_t k = 6) {
  const Vectors queries = normal(count * dim, 4);
  Answer all;
  const SearchSettings ways[] = {{2, 30, 1.9f, 1, {}, 40, 4}, {nlist, n, 1.9f, 3, {}, n, 5}, {1, 0, 1.9f, 1, {}, 1, 1}};
  for (const SearchSettings& how : ways)
    for (const std::size_t some : {count, std::size_t{1}}) {
      Answer one{std::vector<std::int64_t>(some * k), Vectors(some * k)};
      index.search(queries.data(), some, k, how, one.first.data(), one.second.data());
      all.first.insert(all.first.end(), one.first.begin(), one.first.end());
      all.second.insert(all.second.end(), one.second.begin(), one.second.end());
    }
  return all;
}

std::size_t bytes_of(const std::vector<std::pair<std::string, std::size_t>>& parts, std::string_view name) {
  for (const auto& [part, bytes] : parts)
    if (part == name) return bytes;
  return 0;
}

void check_answers(const std::string& path) {
  for (const bool inverted : {false, true})
    for (const RerankKind rerank : {RerankKind::none, RerankKind::uniform, RerankKind::float16, RerankKind::float32})
      for (const Metric metric : {Metric::euclidean, Metric::cosine, Metric::inner_product}) {
        const auto index = made(metric, rerank, inverted, inverted ? 2 : 1);
        index->save(path);
        const Answer expected = ask(*index);
        const std::string what = std::string(inverted ? "lists" : "graph") + ", rerank " +
                                 std::to_string(static_cast<int>(rerank)) + ", metric " +
                                 std::to_string(static_cast<int>(metric)) + ": ";
        for (const int parts : {1, 2, 3})
          for (const std::size_t budget : {std::size_t{0}, std::size_t{4500}, std::size_t{1} << 20}) {
            const LoadSettings how{(parts & 1) != 0, (parts & 2) != 0, budget};
            const bool possible =
                (!how.rerank_on_disk || rerank != RerankKind::none) && (!how.links_on_disk || !inverted);
            bool refused = false;
            try {
              const auto on_disk = ComposedIndex::load(path, nullptr, how);
              check(ask(*on_disk) == expected, what + "the same answers");
              const auto memory = on_disk->nbytes(), disk = on_disk->disk_nbytes();
              check(bytes_of(memory, "cache") <= budget, what + "the cache is within its budget");
              const std::size_t second = metric == Metric::euclidean ? 0 : n * sizeof(float) * (inverted ? 2 : 1);
              const bool floats = rerank == RerankKind::float16 || rerank == RerankKind::float32;
              check(!how.rerank_on_disk || bytes_of(memory, "rerank") == (floats ? second : 0),
                    what + "no rerank in memory");
              check(!how.rerank_on_disk || bytes_of(disk, "rerank") > n * dim / 2, what + "rerank on disk");
              check(bytes_of(disk, "links") == (how.links_on_disk ? n * degree * 4 : 0), what + "links on disk");
              check(on_disk->links() == index->links(), what + "the same links");
              check(on_disk->ids() == index->ids(), what + "the same ids");
              const SearchCounts counts = on_disk->counts();
              check(counts.cache_misses > 0 && (counts.cache_hits > 0) == (budget > 0), what + "counts");
            } catch (const std::invalid_argument&) {
              refused = true;
            }
            check(refused != possible, what + "only parts that there are");
          }
      }
}

void check_unchanging(const std::string& path) {
  made(Metric::euclidean, RerankKind::float16, false)->save(path);
  const auto index = ComposedIndex::load(path, nullptr, {true, false, 10'000});
  const Answer before = ask(*index);
  const Vectors vector(dim, 0.5f);
  const std::uint32_t list = 0;
  const std::int64_t fresh = 5, used = 1001;
  const std::function<void()> changes[] = {
      [&] { index->add(vector.data(), vector.data(), &list, 1, &fresh, 1); }, [&] { index->remove(&used, 1); },
      [&] { index->compact(); }, [&] { index->set_graph(Graph(n, 3)); }, [&] { index->save(path + ".again"); }};
  for (const auto& change : changes) {
    bool refused = false;
    try {
      change();
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    check(refused && ask(*index) == before && index->size() == n, "an index with parts on disk does not change");
  }
}

// Changes the last 4 of these bytes so that the CRC is `wanted`: it is linear in their 32 bits.
void force_crc(std::span<std::uint8_t> bytes, std::uint32_t wanted) {
  const auto crc = [&] { return active_kernels().crc32c(0, bytes.data(), bytes.size()); };
  std::uint8_t* const last = bytes.data() + bytes.size() - 4;
  std::fill_n(last, 4, std::uint8_t{0});
  const std::uint32_t start = crc();
  std::vector<std::pair<std::uint32_t, std::uint32_t>> basis;  // what a choice of bits changes, and the choice
  const auto reduced = [&](std::uint32_t effect, std::uint32_t choice) {
    for (const auto& [one, bits] : basis)
      if ((effect ^ one) < effect) effect ^= one, choice ^= bits;
    return std::pair(effect, choice);
  };
  for (std::uint32_t bit = 0; bit < 32; ++bit) {
    const std::uint32_t value = 1u << bit;
    std::memcpy(last, &value, 4);
    basis.push_back(reduced(crc() ^ start, value));
    std::ranges::sort(basis, std::greater<>());
  }
  const std::uint32_t choice = reduced(start ^ wanted, 0).second;
  std::memcpy(last, &choice, 4);
  check(crc() == wanted, "a checksum is forged");
}

// Links that lead out of the graph, in a file whose checksums are right all the same.
void check_forged_links(const std::string& path) {
  made(Metric::cosine, RerankKind::none, false)->save(path);
  const auto index = ComposedIndex::load(path, nullptr, {false, true, 0});
  FileBytes bytes = bytes_of_file(path);
  const IndexHeader header = header_of(bytes);
  for (const IndexEntry& entry : header.entries) {
    if (std::string_view(entry.name.data()) != "links") continue;
    for (std::size_t begin = entry.offset, end; begin < entry.offset + entry.bytes; begin = end) {
      end = std::min<std::size_t>((begin / 4096 + 1) * 4096, entry.offset + entry.bytes);
      const std::span<std::uint8_t> block(bytes.data() + begin, end - begin);
      const std::uint32_t right = active_kernels().crc32c(0, block.data(), block.size());
      for (std::size_t at = 0; at + 8 <= block.size(); at += 4) {
        const std::uint32_t link = 0x40000000u + static_cast<std::uint32_t>(at);
        std::memcpy(block.data() + at, &link, 4);
      }
      force_crc(block, right);
    }
  }
  const int file = ::open(path.c_str(), O_WRONLY);  // in place: the file that the index has open
  check(::pwrite(file, bytes.data(), bytes.size(), 0) == std::ssize(bytes), "the file is written");
  ::close(file);
  std::string error;
  try {
    ask(*index);
  } catch (const IndexFileError& raised) {
    error = raised.what();
  }
  check(error.find("has a link to") != std::string::npos, "links out of the graph are refused: " + error);
}

void check_memory(const std::string& path) {
  made(Metric::inner_product, RerankKind::float16, false)->save(path);
  const LoadSettings how{true, true, 20'000};
  const auto index = ComposedIndex::load(path, nullptr, how);
  const Answer expected = ask(*index);
  const Vectors queries = normal(count * dim, 4);
  for (const bool loading : {true, false}) {
    bool failed = true;
    std::size_t at = 0;
    for (; failed; ++at) {
      const std::int64_t live = live_allocations();
      {
        // Its own for every search: an index keeps what searches have worked with.
        const auto searched = loading ? nullptr : ComposedIndex::load(path, nullptr, how);
        const FailAllocation failure(at);
        try {
          std::int64_t ids[count];
          float distances[count];
          if (loading)
            ComposedIndex::load(path, nullptr, how);
          else
            searched->search(queries.data(), count, 1, {1, 30, 1.9f, 1, {}, 40, 4}, ids, distances);
        } catch (const std::bad_alloc&) {
        }
        failed = failure.happened();
      }
      const bool leaked = live_allocations() != live;
      check(!leaked, "no leak without memory, allocation " + std::to_string(at));
    }
    check(at > 10, "memory is taken");
  }
  check(ask(*index) == expected, "answers as before after memory ran out");
}

}  // namespace

void test_on_disk_threads() {
  const TemporaryFolder folder;
  const std::string path = folder.file("index");
  const auto whole = made(Metric::euclidean, RerankKind::float32, false);
  whole->save(path);
  const Answer expected = ask(*whole);
  const auto index = ComposedIndex::load(path, nullptr, {true, true, 30'000});
  parallel_for(16, 4, [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t i = begin; i < end; ++i) check(ask(*index) == expected, "the same answers to all who ask at once");
  });
}

void test_on_disk() {
  const TemporaryFolder folder;
  const std::string path = folder.file("index");
  check_answers(path);
  check_unchanging(path);
  check_forged_links(path);
  check_memory(path);
  test_on_disk_threads();
}

}  // namespace annbench::tests
