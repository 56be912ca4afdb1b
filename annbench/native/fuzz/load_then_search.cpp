// Index files from a fuzzer: refused by IndexFileError, or else searched, in memory and on disk, changed, saved and loaded
// again, all of it within its memory.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <random>
#include <set>

#include "fuzz/input.hpp"
#include "fuzz/target.hpp"
#include "index/composed.hpp"
#include "io/index_file.hpp"
#include "tests/index_bytes.hpp"

// A file of at most 64 KiB that asks for more than this is believed too easily.
extern "C" const char* __asan_default_options() { return "max_allocation_size_mb=256:detect_leaks=1"; }

namespace annbench::fuzz {
namespace {

using Vectors = std::vector<float>;

constexpr std::size_t seed_vectors = 40, seed_dim = 12, seed_lists = 3;

CodecSettings codec_of(CodecKind kind, std::uint32_t bits, std::uint32_t second_bits = 0) {
  CodecSettings codec;
  codec.kind = kind;
  codec.bits = bits;
  codec.second_bits = second_bits;
  return codec;
}

Vectors normal(std::size_t count, std::mt19937& random) {
  std::normal_distribution<float> values;
  Vectors made(count);
  for (float& value : made) value = values(random);
  return made;
}

// One of every codec; what a codec has learnt is made up.
std::vector<CodecSettings> codecs(std::mt19937& random) {
  std::vector<CodecSettings> all = {
      codec_of(CodecKind::float32, 0),      codec_of(CodecKind::float16, 0), codec_of(CodecKind::uniform, 4),
      codec_of(CodecKind::uniform, 8),      codec_of(CodecKind::planes, 1),  codec_of(CodecKind::planes, 3),
      codec_of(CodecKind::two_level, 4, 8), codec_of(CodecKind::staged, 1, 4), codec_of(CodecKind::signs, 1, 0),
      codec_of(CodecKind::level_blocks, 2), codec_of(CodecKind::level_rows, 3), codec_of(CodecKind::level_blocks, 1)};
  all.back().query_bits = 1;  // binarized
  CodecSettings product = codec_of(CodecKind::product, 3);
  product.tables = normal(16 * seed_dim, random);
  CodecSettings varying = codec_of(CodecKind::planes, 0);
  varying.tables.assign(seed_dim, 1.5f);
  CodecSettings va_file = codec_of(CodecKind::va_file, 0);
  for (std::size_t j = 0; j < seed_dim; ++j) {
    varying.table_bits.push_back(static_cast<std::uint8_t>(1 + j % 6));
    va_file.table_bits.push_back(static_cast<std::uint8_t>(j % 5));
    for (int cell = 0; cell < 1 << (j % 5); ++cell) va_file.tables.push_back(0.3f * static_cast<float>(cell) - 1);
  }
  all.insert(all.end(), {product, varying, va_file});
  return all;
}

Graph some_graph() {
  Graph graph(seed_vectors, 5);
  for (std::uint32_t node = 0; node < seed_vectors; ++node)
    for (std::uint32_t i = 0; i < 3 + node % 3; ++i) graph.row(node)[i] = (node + 7 * i + 1) % seed_vectors;
  graph.entries = {3, 17};
  return graph;
}

std::unique_ptr<ComposedIndex> small_index(const CodecSettings& codec, std::size_t number, std::mt19937& random) {
  IndexSettings s;
  const bool only_euclidean = codec.kind == CodecKind::va_file;
  s.metric = only_euclidean ? Metric::euclidean : static_cast<Metric>(number % 3);
  s.dim_in = s.dim = seed_dim;
  s.codec = codec;
  s.normalise = s.mapped_metric = codec.has_levels();
  s.rerank = static_cast<RerankKind>(number % 4);
  s.description = "{}";
  const bool inverted = number % 2 == 0, mapped = number % 5 == 1;
  if (inverted) {
    s.prefix_dim = seed_dim - number % 3;
    s.centroids = normal(seed_lists * s.prefix_dim, random);
  }
  if (mapped) {
    s.mean = normal(seed_dim, random);
    s.query_map = s.base_map = normal(seed_dim * seed_dim, random);
  }
  auto index = std::make_unique<ComposedIndex>(s);
  const Vectors vectors = normal(seed_vectors * seed_dim, random);
  std::vector<std::uint32_t> lists(seed_vectors);
  std::vector<std::int64_t> ids(seed_vectors);
  for (std::size_t i = 0; i < seed_vectors; ++i) {
    lists[i] = inverted ? static_cast<std::uint32_t>(i % seed_lists) : 0;
    ids[i] = static_cast<std::int64_t>(i * i);
  }
  index->add(vectors.data(), vectors.data(), lists.data(), 1, ids.data(), seed_vectors);
  if (!inverted && number % 4 == 1) index->set_graph(some_graph());
  return index;
}

// Where inputs become files: a folder in memory.
const tests::TemporaryFolder& folder() {
  static const tests::TemporaryFolder made;
  return made;
}

void require_valid(const ComposedIndex& index, const std::vector<std::int64_t>& found) {
  const std::vector<std::int64_t> ids = index.ids();
  const std::set<std::int64_t> known(ids.begin(), ids.end());
  for (const std::int64_t id : found)
    if (id != -1 && !known.contains(id)) fail("a search answers with id " + std::to_string(id) + ", which nobody has");
}

// Every way of searching that the index allows.
std::vector<std::int64_t> search(const ComposedIndex& index) {
  const std::size_t dim = index.settings().dim_in, count = 3;
  std::mt19937 random(1);
  const Vectors queries = normal(count * dim, random);
  std::vector<std::int64_t> all;
  const SearchSettings ways[] = {{1, 0, 1.9f, 1, true}, {index.nlist(), 20, 0.0f, 2, false, 1, 1}};
  for (const std::size_t k : {std::size_t{1}, std::size_t{5}, index.size() + 2})
    for (const SearchSettings& how : ways) {
      std::vector<std::int64_t> ids(count * k);
      Vectors distances(count * k);
      try {
        index.search(queries.data(), count, k, how, ids.data(), distances.data());
      } catch (const std::invalid_argument&) {
        continue;  // a map of finite numbers may still lead beyond float32
      }
      all.insert(all.end(), ids.begin(), ids.end());
    }
  require_valid(index, all);
  return all;
}

// The same from an index whose parts are on disk, of which a single block is kept; and nothing but an error where the file
// is altered meanwhile.
void search_on_disk(const std::string& path, const ComposedIndex& index, const std::vector<std::int64_t>& expected,
                    std::uint8_t damage) {
  const LoadSettings how{index.settings().rerank != RerankKind::none, index.degree() > 0, 4500};
  if (!how.any_on_disk()) return;
  const auto on_disk = ComposedIndex::load(path, nullptr, how);
  if (search(*on_disk) != expected) fail("an index with parts on disk answers otherwise");
  tests::FileBytes bytes = tests::bytes_of_file(path);
  for (std::size_t at = sizeof(IndexHeader) + damage; at < bytes.size(); at += 512) bytes[at] ^= damage;
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (::pwrite(file.number(), bytes.data(), bytes.size(), 0) != std::ssize(bytes)) fail("the file cannot be altered");
  try {
    search(*on_disk);
  } catch (const IndexFileError&) {
  }
}

void change(ComposedIndex& index) {
  const std::size_t dim = std::max(index.settings().dim_in, index.settings().dim);
  const Vectors vector(dim, 0.25f);
  const std::vector<std::int64_t> before = index.ids();
  std::int64_t fresh = 1'234'567;
  while (std::find(before.begin(), before.end(), fresh) != before.end()) ++fresh;
  try {
    const std::uint32_t list = 0;
    index.add(vector.data(), vector.data(), &list, 1, &fresh, 1);
  } catch (const std::invalid_argument&) {
    fresh = before.empty() ? -1 : before.front();  // vectors of this index have more assignments than one
  }
  if (fresh >= 0) index.remove(&fresh, 1);
  if (!before.empty() && before.back() != fresh) index.remove(&before.back(), 1);
  index.compact();
}

}  // namespace

std::vector<Bytes> seeds() {
  std::mt19937 random(7);
  std::vector<Bytes> made;
  const std::string path = folder().file("seed");
  const std::vector<CodecSettings> every = codecs(random);
  for (std::size_t i = 0; i < every.size(); ++i)
    for (const std::size_t number : {i, i + 1}) {
      small_index(every[i], number, random)->save(path);
      made.push_back(tests::bytes_of_file(path));
    }
  return made;
}

void run(const std::uint8_t* data, std::size_t size) {
  const std::string path = folder().file("input"), again = folder().file("again");
  {
    const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (::write(file.number(), data, size) != static_cast<ssize_t>(size)) fail("the input cannot be written");
  }
  std::unique_ptr<ComposedIndex> index;
  try {
    index = ComposedIndex::load(path);
  } catch (const IndexFileError&) {
    return;
  } catch (const std::exception& error) {
    fail(std::string("load throws another exception than IndexFileError: ") + error.what());
  }
  const std::vector<std::int64_t> before = search(*index);
  search_on_disk(path, *index, before, size == 0 ? 0 : data[size - 1]);
  index->save(again);
  if (search(*ComposedIndex::load(again)) != before) fail("an index that was saved again answers otherwise");
  change(*index);
  search(*index);
}

void repair(Bytes& input) { tests::reseal(input); }

}  // namespace annbench::fuzz
