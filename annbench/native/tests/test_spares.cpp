// Memory that goes from search to search: nobody's twice, and none lost.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "support/spares.hpp"
#include "tests/check.hpp"

namespace annbench::tests {
namespace {

std::atomic<int> alive = 0;

struct Counted {
  std::atomic<int> users = 0;
  int left = 0;

  Counted() { ++alive; }
  ~Counted() { --alive; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
};

void check_one_thread() {
  {
    Spares<Counted> spares;
    {
      Borrowed<Counted> one(spares);
      check(one->left == 0, "the first is new");
      one->left = 7;
    }
    std::unique_ptr<Counted> again = spares.take(), other = spares.take();
    check(again->left == 7 && other->left == 0, "what was given back comes as it was left, what else there is is new");
    other->left = 8;
    spares.give(std::move(again));
    spares.give(std::move(other));
    check(alive == 2 && spares.take()->left + spares.take()->left == 15, "two are kept, too");
    check(alive == 0, "who took them has them");
    std::vector<std::unique_ptr<Counted>> many;
    for (int i = 0; i < 100; ++i) many.push_back(spares.take());
    for (std::unique_ptr<Counted>& one : many) spares.give(std::move(one));
    check(alive > 2 && alive < 100, "so many are kept, not more");
    spares.clear();
    check(alive == 0, "none is left after clear()");
    spares.give(std::make_unique<Counted>());
    spares.give(std::make_unique<Counted>());
  }
  check(alive == 0, "nor when all is over");
}

// Some hold one, some two at a time.
void check_threads() {
  constexpr int threads = 4, rounds = 5000;
  std::atomic<int> shared = 0;
  {
    Spares<Counted> spares;
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t)
      all.emplace_back([&, t] {
        for (int round = 0; round < rounds; ++round) {
          Borrowed<Counted> one(spares);
          shared += one->users.fetch_add(1);
          one->left = t;  // a race where two have it
          if (t % 2 == 0) {
            const Borrowed<Counted> other(spares);
          }
          shared += static_cast<int>(one->left != t);
          one->users.fetch_sub(1);
          if (round % 1000 == 999) spares.clear();
        }
      });
    for (std::thread& thread : all) thread.join();
    check(alive <= 2 * threads, "as many as were in use at once, at most");
  }
  check(shared == 0, "no two threads have the same");
  check(alive == 0, "none is lost");
}

}  // namespace

void test_spares() {
  check_one_thread();
  check_threads();
}

}  // namespace annbench::tests
