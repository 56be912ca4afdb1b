#include "structures/id_list.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "index/composed.hpp"
#include "tests/check.hpp"
#include "tests/failing_new.hpp"

namespace annbench::tests {
namespace {

using Ids = std::vector<std::int64_t>;

constexpr std::int64_t largest_narrow = 4294967295, smallest_wide = 4294967296, largest = 9223372036854775807;
static_assert(IdList::largest_narrow == largest_narrow);

IdList list_of(const Ids& ids) {
  IdList list;
  for (const std::int64_t id : ids) list.push_back(id);
  return list;
}

Ids ids_of(const IdList& list) {
  Ids ids;
  for (std::size_t i = 0; i < list.size(); ++i) ids.push_back(list[i]);
  return ids;
}

void check_limits() {
  IdList list = list_of({0, 7, largest_narrow});
  check(!list.wide() && list.width() == 4 && ids_of(list) == Ids{0, 7, largest_narrow}, "2³² − 1 takes 4 bytes");
  list.push_back(smallest_wide);
  check(list.wide() && list.width() == 8 && ids_of(list) == Ids{0, 7, largest_narrow, smallest_wide}, "2³² takes 8");
  list.push_back(3);
  list.push_back(largest);
  check(ids_of(list) == Ids{0, 7, largest_narrow, smallest_wide, 3, largest}, "small ones follow");
  check(list.bytes() == list.capacity() * 8 && list.capacity() >= 6, "bytes of wide ids");
  check(ids_of(list_of({largest, 0})) == Ids{largest, 0}, "the first of all is wide");
  check(ids_of(IdList()).empty() && IdList().bytes() == 0, "an empty list takes nothing");
}

void check_removal() {
  for (const std::int64_t last : {std::int64_t{9}, largest}) {
    IdList list = list_of({1, 2, 3, last});
    list.move(3, 1);
    list.pop_back();
    check(ids_of(list) == Ids{1, last, 3}, "the last one in the place of another");
    list.truncate(1);
    check(ids_of(list) == Ids{1} && list.wide() == (last > largest_narrow), "cut off; the width stays");
    list.shrink_to_fit();
    check(ids_of(list) == Ids{1} && !list.wide() && list.bytes() == 4, "until memory is given back");
    list = list_of({smallest_wide, 5, 6});
    list.shrink_to_fit();
    check(list.wide() && list.bytes() == 24 && ids_of(list) == Ids{smallest_wide, 5, 6}, "what is needed is kept");
  }
}

void check_reserved() {
  for (const std::int64_t id : {largest_narrow, smallest_wide}) {
    IdList list = list_of({4});
    list.reserve(1000, id);
    check(list.wide() == (id > largest_narrow) && list.capacity() == 1000, "reserved at the width that was asked for");
    {
      const FailAllocation any(0);
      for (int i = 1; i < 1000; ++i) list.push_back(id - i % 2);
    }
    check(list.size() == 1000 && list[999] == id - 1, "room that was made is enough");
  }
  IdList list = list_of({4});
  list.reserve(100, 0);
  list.push_back(smallest_wide);
  check(list.capacity() >= 100 && list.wide(), "what was reserved survives the change of width");
}

// Memory that runs out changes nothing.
void check_guarantee() {
  const std::function<void(IdList&)> changes[] = {
      [](IdList& list) { list.reserve(1000, 0); },
      [](IdList& list) { list.reserve(1000, smallest_wide); },
      [](IdList& list) { list.reserve(1, smallest_wide); },
      [](IdList& list) { list.push_back(largest); },
  };
  for (const auto& change : changes) {
    IdList list = list_of({0, 1, largest_narrow});
    const std::size_t bytes = list.bytes();
    bool thrown = false;
    {
      const FailAllocation failure(0);
      try {
        change(list);
      } catch (const std::bad_alloc&) {
        thrown = true;
      }
    }
    check(thrown && !list.wide() && list.bytes() == bytes && ids_of(list) == Ids{0, 1, largest_narrow},
          "as it was before memory ran out");
    change(list);
    check(list.bytes() > bytes, "and then it goes on");
  }
}

void check_model() {
  std::mt19937_64 random(3);
  Ids model;
  IdList list;
  for (int step = 0; step < 3000; ++step) {
    const std::size_t at = model.empty() ? 0 : random() % model.size();
    if (model.empty() || random() % 8 < 4) {
      model.push_back(static_cast<std::int64_t>(random() >> (random() % 50 == 0 ? 1 : 33)));
      list.push_back(model.back());
    } else if (random() % 8 < 7) {
      model[at] = model.back();
      list.move(model.size() - 1, at);
      model.pop_back();
      list.pop_back();
    } else {
      list.shrink_to_fit();
      const bool wide = std::ranges::any_of(model, [](std::int64_t id) { return id >= smallest_wide; });
      check(list.wide() == wide && list.bytes() == model.size() * (wide ? 8 : 4), "nothing to spare");
    }
    if (ids_of(list) != model) return check(false, "as a plain vector, step " + std::to_string(step));
  }
}

// An index whose memory runs out while it takes the first wide id is as it was, whenever that happens.
void check_index() {
  IndexSettings s;
  s.dim_in = s.dim = 3;
  s.codec.kind = CodecKind::float32;
  ComposedIndex index(s);
  const std::vector<float> vectors = {1, 2, 3, 4, 5, 6, 7, 8, 10}, queries = {4, 5, 6.5f};
  const std::uint32_t lists[] = {0, 0, 0};
  const Ids first = {5, 6, 7}, second = {8, smallest_wide, 10};
  index.add(vectors.data(), vectors.data(), lists, 1, first.data(), 3);
  index.compact();
  const auto nearest = [&] {
    std::int64_t id = -2;
    float distance = 0;
    index.search(queries.data(), 1, 1, {}, &id, &distance);
    return id;
  };
  const auto id_bytes = [&] {
    for (const auto& [part, bytes] : index.nbytes())
      if (part == "ids") return bytes;
    return std::size_t{0};
  };
  check(id_bytes() == 12, "4 bytes an id");
  std::size_t n = 0;
  for (bool done = false; !done && n < 1000; ++n) {
    {
      const FailAllocation failure(n);
      try {
        index.add(vectors.data(), vectors.data(), lists, 1, second.data(), 3);
        done = true;
      } catch (const std::bad_alloc&) {
      }
    }
    if (!done) check(index.ids() == first && nearest() == 6, "nothing added, failure " + std::to_string(n));
  }
  check(n > 5 && index.size() == 6 && index.ids() == Ids{5, 6, 7, 8, smallest_wide, 10}, "added in the end");
  index.remove(&first[1], 1);
  check(nearest() == smallest_wide, "found by its wide id");
  index.compact();
  check(id_bytes() == 5 * 8, "8 bytes an id");
  index.save("id_list_test.annbench");
  check(ComposedIndex::load("id_list_test.annbench")->ids() == index.ids(), "wide ids from a file");
  index.remove(&second[1], 1);
  index.compact();
  check(id_bytes() == 4 * 4, "4 bytes again");
  std::remove("id_list_test.annbench");
}

}  // namespace

void test_id_list() {
  check_limits();
  check_removal();
  check_reserved();
  check_guarantee();
  check_model();
  check_index();
}

}  // namespace annbench::tests
