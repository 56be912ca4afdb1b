// The finer copy of the vectors that the short list is decided by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "index/composed.hpp"
#include "structures/code_list.hpp"

namespace annbench {

class Reranker {
 public:
  virtual ~Reranker() = default;

  // Memory that one thread works in, call after call. What is in it is the reranker's own.
  class Room {
   public:
    virtual ~Room() = default;
  };

  virtual std::size_t code_bytes(std::size_t part, std::size_t count) const = 0;
  virtual void reserve_codes(CodeList& list, std::size_t count) const = 0;
  // Into places first … of a list that has room: vectors (count × dim_in) as the index takes them, centred or not as
  // `centred` says.
  virtual void encode(CodeList& list, const float* vectors, const float* bias, std::size_t count, std::size_t first) const = 0;
  virtual void move(CodeList& list, std::size_t from, std::size_t to) const = 0;
  // The vector at a place, as encode() got it but for what its code loses: dim_in floats.
  virtual void decode(const CodeList& list, std::size_t place, float* vector) const = 0;
  // Replaces the scores of what every query has found by its own, and sorts it: query q is dim_in floats at
  // queries + q·dim_in. `room` is null, or what an earlier call of the same reranker left there.
  virtual void rescore(const KernelTable& kernels, const float* queries, const std::vector<CodeList>& lists,
                       std::span<std::vector<Scored>> found, std::unique_ptr<Room>& room) const = 0;
  // Gives what is found the scores of `rows`, one after the other; in no order.
  virtual void rescore_rows(const KernelTable& kernels, const float* query, const CodesView& rows,
                            std::span<Scored> found) const = 0;
  // Whether vectors and queries come without the mean; else as they are.
  virtual bool centred() const = 0;
  // Whether scores are −‖q − x‖², or ⟨q, x⟩, as they are.
  virtual bool exact() const = 0;
};

// Null for RerankKind::none.
std::unique_ptr<Reranker> make_reranker(const IndexSettings& settings, float weight);

}  // namespace annbench
