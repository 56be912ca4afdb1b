// Errors that a user can do something about: where, what was found, what to do. The twin of annbench/errors.py.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace annbench {

// what() is "<where>: <message>; <remedy>". Copies share the parts, so that copying cannot throw.
class Error : public std::runtime_error {
 public:
  Error(std::string where, std::string message, std::string remedy)
      : std::runtime_error(where + ": " + message + "; " + remedy),
        parts_(std::make_shared<const Parts>(Parts{std::move(where), std::move(message), std::move(remedy)})) {}

  const std::string& where() const noexcept { return parts_->where; }
  const std::string& message() const noexcept { return parts_->message; }
  const std::string& remedy() const noexcept { return parts_->remedy; }

 private:
  struct Parts {
    std::string where, message, remedy;
  };
  std::shared_ptr<const Parts> parts_;
};

}  // namespace annbench
