#include "transforms/recurrent_binarizer.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "support/require.hpp"

namespace annbench {
namespace {

constexpr std::uint32_t most_steps = 7, most_layers = 16, widest = 1u << 16;
constexpr std::size_t at_once = 128;  // rows

}  // namespace

// Takes numbers of a shape and values one after the other.
class RecurrentBinarizer::Parser {
 public:
  Parser(std::span<const std::uint32_t> shape, std::span<const float> values) : shape_(shape), values_(values) {
    require(std::ranges::all_of(values, [](float v) { return std::isfinite(v); }), "a value of the binarizer is not finite");
  }

  std::uint32_t number(const char* what, std::uint32_t least, std::uint32_t most) {
    require(!shape_.empty(), "the shape of the binarizer is too short");
    const std::uint32_t found = shape_.front();
    if (found < least || found > most) throw std::invalid_argument(std::string(what) + " of the binarizer are " + std::to_string(found));
    shape_ = shape_.subspan(1);
    return found;
  }
  Perceptron perceptron(std::size_t in, std::size_t out) {
    const std::uint32_t layers = number("layers", 0, most_layers);
    std::vector<std::size_t> widths = {in};
    for (std::uint32_t i = 0; i + 1 < layers; ++i) widths.push_back(number("widths", 1, widest));
    widths.push_back(out);
    Perceptron made{affine(in, out), {}};
    for (std::uint32_t i = 0; i < layers; ++i) made.layers.push_back(affine(widths[i], widths[i + 1]));
    return made;
  }
  float value() { return take(1).front(); }
  void end() const { require(shape_.empty() && values_.empty(), "the binarizer has more values than its shape says"); }

 private:
  Affine affine(std::size_t in, std::size_t out) {
    const auto matrix = take(in * out), bias = take(out);
    return {LinearMap(matrix, in, out, false), {bias.begin(), bias.end()}};
  }
  std::span<const float> take(std::size_t count) {
    require(count <= values_.size(), "the binarizer has fewer values than its shape says");
    const auto taken = values_.first(count);
    values_ = values_.subspan(count);
    return taken;
  }

  std::span<const std::uint32_t> shape_;
  std::span<const float> values_;
};

RecurrentBinarizer::RecurrentBinarizer(std::span<const std::uint32_t> shape, std::span<const float> values) {
  Parser parser(shape, values);
  dim_in_ = parser.number("dimensions", 1, widest);
  dim_ = parser.number("dimensions", 1, widest);
  const std::uint32_t steps = parser.number("steps", 0, most_steps);
  scale_ = parser.value();
  first_.push_back(parser.perceptron(dim_in_, dim_));
  for (std::uint32_t t = 0; t < steps; ++t) residual_.push_back(parser.perceptron(dim_in_, dim_));
  for (std::uint32_t t = 0; t < steps; ++t) reconstruct_.push_back(parser.perceptron(dim_, dim_in_));
  parser.end();
}

void RecurrentBinarizer::Affine::map(const KernelTable& kernels, const float* x, std::size_t count, float* y,
                                     LinearMap::Room& room) const {
  matrix.map(kernels, x, nullptr, count, y, room);
  for (std::size_t r = 0; r < count; ++r)
    for (std::size_t i = 0; i < bias.size(); ++i) y[r * bias.size() + i] += bias[i];
}

std::size_t RecurrentBinarizer::Perceptron::nbytes() const {
  std::size_t bytes = linear.matrix.nbytes() + linear.bias.size() * sizeof(float);
  for (const Affine& layer : layers) bytes += layer.matrix.nbytes() + layer.bias.size() * sizeof(float);
  return bytes;
}

void RecurrentBinarizer::Perceptron::map(const KernelTable& kernels, const float* x, std::size_t count, float* y,
                                         Room& room) const {
  linear.map(kernels, x, count, y, room.linear);
  const float* from = x;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    std::vector<float>& to = room.layers[i % 2];
    to.resize(count * layers[i].bias.size());
    layers[i].map(kernels, from, count, to.data(), room.linear);
    from = to.data();
    if (i + 1 < layers.size())
      for (float& value : to) value = std::max(value, 0.0f);
    else
      for (std::size_t j = 0; j < to.size(); ++j) y[j] += to[j];
  }
}

std::size_t RecurrentBinarizer::nbytes() const {
  std::size_t bytes = 0;
  for (const auto* const parts : {&first_, &residual_, &reconstruct_})
    for (const Perceptron& part : *parts) bytes += part.nbytes();
  return bytes;
}

void RecurrentBinarizer::map(const KernelTable& kernels, const float* x, std::size_t count, float* codes,
                             Room& room) const {
  const auto signs = [](float value) { return value >= 0 ? 1.0f : -1.0f; };
  for (std::size_t first = 0; first < count; first += at_once) {
    const std::size_t n = std::min(at_once, count - first);
    const float* f = x + first * dim_in_;
    if (scale_ != 1) {
      room.scaled.assign(f, f + n * dim_in_);
      for (float& value : room.scaled) value *= scale_;
      f = room.scaled.data();
    }
    float* const b = codes + first * dim_;
    first_[0].map(kernels, f, n, b, room);
    for (std::size_t i = 0; i < n * dim_; ++i) b[i] = signs(b[i]);
    room.back.resize(n * dim_in_);
    room.rest.resize(n * dim_);
    float weight = 1;
    for (std::size_t t = 0; t < residual_.size(); ++t) {
      reconstruct_[t].map(kernels, b, n, room.back.data(), room);
      for (std::size_t r = 0; r < n; ++r) {
        float* const back = room.back.data() + r * dim_in_;
        const double length = std::sqrt(kernels.wide_dot(back, back, dim_in_));
        const auto scale = static_cast<float>(length > 0 ? 1 / length : 1);
        for (std::size_t j = 0; j < dim_in_; ++j) back[j] = f[r * dim_in_ + j] - back[j] * scale;
      }
      residual_[t].map(kernels, room.back.data(), n, room.rest.data(), room);
      weight /= 2;
      for (std::size_t i = 0; i < n * dim_; ++i) b[i] += weight * signs(room.rest[i]);
    }
  }
}

}  // namespace annbench
