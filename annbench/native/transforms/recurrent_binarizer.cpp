#include "transforms/recurrent_binarizer.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "support/require.hpp"

namespace annbench {
namespace {

constexpr std::uint32_t most_steps = 7, most_layers = 16, widest = 1u << 16;
constexpr std::size_t at_once = 128;  // rows

bool finite(std::span<const float> values) {
  return std::ranges::all_of(values, [](float v) { return std::isfinite(v); });
}

float sign_of(float value) { return value >= 0 ? 1.0f : -1.0f; }

// What makes a vector of this squared length one of length 1; zeros stay.
float to_unit(double squares) { return squares > 0 ? static_cast<float>(1 / std::sqrt(squares)) : 1.0f; }

}  // namespace

// Takes numbers of a shape and values one after the other.
class RecurrentBinarizer::Parser {
 public:
  Parser(std::span<const std::uint32_t> shape, std::span<const float> values) : shape_(shape), values_(values) {
    require(finite(values), "a value of the binarizer is not finite");
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
    Perceptron made{out, affine(in, out), {}};
    for (std::uint32_t i = 0; i < layers; ++i) {
      const Affine layer = affine(widths[i], widths[i + 1]);
      if (i > 0)
        made.later.push_back(layer);
      else if (layers == 1)  // with nothing behind it, part of the linear part
        add(layer, made.entry);
      else
        append(layer, made.entry);
    }
    return made;
  }
  float value() { return take(1).front(); }
  void end() const { require(shape_.empty() && values_.empty(), "the binarizer has more values than its shape says"); }

 private:
  Affine affine(std::size_t in, std::size_t out) {
    const auto matrix = take(in * out), bias = take(out);
    return {in, {matrix.begin(), matrix.end()}, {bias.begin(), bias.end()}};
  }
  static void append(const Affine& more, Affine& to) {
    to.matrix.insert(to.matrix.end(), more.matrix.begin(), more.matrix.end());
    to.bias.insert(to.bias.end(), more.bias.begin(), more.bias.end());
  }
  static void add(const Affine& more, Affine& to) {
    std::ranges::transform(more.matrix, to.matrix, to.matrix.begin(), std::plus<>());
    std::ranges::transform(more.bias, to.bias, to.bias.begin(), std::plus<>());
    require(finite(to.matrix) && finite(to.bias), "a value of the binarizer is not finite");
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

RecurrentBinarizer::Tail::Tail(const Perceptron& perceptron) : out(perceptron.out), bias(perceptron.entry.bias) {
  for (const Affine& layer : perceptron.later)
    later.push_back({LinearMap(layer.matrix, layer.in, layer.bias.size(), MapNumbers::fixed), layer.bias});
}

std::size_t RecurrentBinarizer::Tail::nbytes() const {
  std::size_t bytes = bias.size() * sizeof(float);
  for (const Layer& layer : later) bytes += layer.matrix.nbytes() + layer.bias.size() * sizeof(float);
  return bytes;
}

RecurrentBinarizer::RecurrentBinarizer(std::span<const std::uint32_t> shape, std::span<const float> values) {
  Parser parser(shape, values);
  dim_in_ = parser.number("dimensions", 1, widest);
  dim_ = parser.number("dimensions", 1, widest);
  const std::uint32_t steps = parser.number("steps", 0, most_steps);
  scale_ = parser.value();
  const Perceptron first = parser.perceptron(dim_in_, dim_);
  std::vector<Perceptron> residual, reconstruct;
  for (std::uint32_t t = 0; t < steps; ++t) residual.push_back(parser.perceptron(dim_in_, dim_));
  for (std::uint32_t t = 0; t < steps; ++t) reconstruct.push_back(parser.perceptron(dim_, dim_in_));
  parser.end();

  first_.emplace(first);
  std::vector<float> of_input = first.entry.matrix;
  for (std::uint32_t t = 0; t < steps; ++t) {
    Step& step = steps_.emplace_back(residual[t]);
    if (fold(residual[t], reconstruct[t], step)) {
      step.of_input = of_input.size() / dim_in_;
      of_input.insert(of_input.end(), residual[t].entry.matrix.begin(), residual[t].entry.matrix.end());
    } else {
      step.reconstruct.emplace(reconstruct[t].entry.matrix, dim_, reconstruct[t].entry.bias.size(), MapNumbers::fixed);
      step.reconstruct_tail.emplace(reconstruct[t]);
      step.first.emplace(residual[t].entry.matrix, dim_in_, step.residual.entered(), MapNumbers::fixed);
    }
  }
  of_input_rows_ = of_input.size() / dim_in_;
  of_input_.emplace(of_input, dim_in_, of_input_rows_, MapNumbers::fixed);
}

bool RecurrentBinarizer::fold(const Perceptron& residual, const Perceptron& reconstruct, Step& step) const {
  const std::size_t rows = step.residual.entered();
  if (!reconstruct.is_linear() || rows + dim_ >= dim_in_) return false;
  // Sums in double, which are the same everywhere.
  const auto dot = [&](const float* a, const float* b) { return static_cast<float>(active_kernels().wide_dot(a, b, dim_in_)); };
  std::vector<float> columns(dim_ * dim_in_);
  for (std::size_t i = 0; i < dim_in_; ++i)
    for (std::size_t j = 0; j < dim_; ++j) columns[j * dim_in_ + i] = reconstruct.entry.matrix[i * dim_ + j];
  const auto column = [&](std::size_t j) { return columns.data() + j * dim_in_; };
  const float* const bias = reconstruct.entry.bias.data();
  std::vector<float> matrix((rows + dim_) * dim_), constant(rows), slope(dim_);
  for (std::size_t r = 0; r < rows; ++r) {
    const float* const row = residual.entry.matrix.data() + r * dim_in_;
    for (std::size_t j = 0; j < dim_; ++j) matrix[r * dim_ + j] = dot(row, column(j));
    constant[r] = dot(row, bias);
  }
  float* const squares = matrix.data() + rows * dim_;
  for (std::size_t i = 0; i < dim_; ++i) {
    for (std::size_t j = 0; j <= i; ++j) squares[i * dim_ + j] = squares[j * dim_ + i] = dot(column(i), column(j));
    slope[i] = 2 * dot(column(i), bias);
  }
  const float square = dot(bias, bias);
  if (!finite(matrix) || !finite(constant) || !finite(slope) || !std::isfinite(square)) return false;
  step.folded.emplace(matrix, dim_, rows + dim_, MapNumbers::fixed);
  step.constant = std::move(constant);
  step.slope = std::move(slope);
  step.square = square;
  return true;
}

std::size_t RecurrentBinarizer::nbytes() const {
  std::size_t bytes = of_input_->nbytes() + first_->nbytes();
  for (const Step& step : steps_) {
    bytes += step.residual.nbytes() + (step.constant.size() + step.slope.size()) * sizeof(float);
    for (const auto* const matrix : {&step.folded, &step.reconstruct, &step.first})
      if (*matrix) bytes += (*matrix)->nbytes();
    if (step.reconstruct_tail) bytes += step.reconstruct_tail->nbytes();
  }
  return bytes;
}

void RecurrentBinarizer::product(const KernelTable& kernels, const LinearMap& matrix, std::size_t in, const float* x,
                                 std::size_t n, float* y, Room& room) {
  room.squares.resize(n);
  for (std::size_t r = 0; r < n; ++r) {
    // Whatever is not finite any more, by weights that are next to it, counts as nothing.
    const double squares = kernels.wide_dot(x + r * in, x + r * in, in);
    room.squares[r] = squares <= std::numeric_limits<float>::max() ? squares : 0;
  }
  matrix.map(kernels, x, room.squares.data(), n, y, room.linear);
}

void RecurrentBinarizer::leave(const KernelTable& kernels, const Tail& tail, const float* entered, std::size_t stride,
                               std::size_t n, float* y, Room& room) {
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t i = 0; i < tail.out; ++i) y[r * tail.out + i] = entered[r * stride + i] + tail.bias[i];
  if (tail.later.empty()) return;
  const std::size_t width = tail.entered() - tail.out;
  std::vector<float>* from = &room.layers[0];
  from->resize(n * width);
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t i = 0; i < width; ++i)
      (*from)[r * width + i] = std::max(entered[r * stride + tail.out + i] + tail.bias[tail.out + i], 0.0f);
  for (std::size_t l = 0; l < tail.later.size(); ++l) {
    const Layer& layer = tail.later[l];
    const std::size_t in = from->size() / n, out = layer.bias.size();
    std::vector<float>* const to = &room.layers[(l + 1) % 2];
    to->resize(n * out);
    product(kernels, layer.matrix, in, from->data(), n, to->data(), room);
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t i = 0; i < out; ++i) (*to)[r * out + i] += layer.bias[i];
    from = to;
    if (l + 1 < tail.later.size())
      for (float& value : *to) value = std::max(value, 0.0f);
  }
  for (std::size_t i = 0; i < n * tail.out; ++i) y[i] += (*from)[i];
}

void RecurrentBinarizer::map_some(const KernelTable& kernels, const float* f, std::size_t n, float* b, Room& room) const {
  room.of_input.resize(n * of_input_rows_);
  product(kernels, *of_input_, dim_in_, f, n, room.of_input.data(), room);
  leave(kernels, *first_, room.of_input.data(), of_input_rows_, n, b, room);
  for (std::size_t i = 0; i < n * dim_; ++i) b[i] = sign_of(b[i]);
  room.rest.resize(n * dim_);
  float weight = 1;
  for (const Step& step : steps_) {
    const std::size_t rows = step.residual.entered();
    room.entered.resize(n * rows);
    float* const entered = room.entered.data();
    if (step.folded) {
      const std::size_t stride = rows + dim_;
      room.back.resize(n * stride);
      product(kernels, *step.folded, dim_, b, n, room.back.data(), room);
      for (std::size_t r = 0; r < n; ++r) {
        const float *const back = room.back.data() + r * stride, *const code = b + r * dim_;
        const float* const of_input = room.of_input.data() + r * of_input_rows_ + step.of_input;
        const float scale = to_unit(kernels.wide_dot(code, back + rows, dim_) +
                                    kernels.wide_dot(code, step.slope.data(), dim_) + static_cast<double>(step.square));
        for (std::size_t i = 0; i < rows; ++i) entered[r * rows + i] = of_input[i] - (back[i] + step.constant[i]) * scale;
      }
    } else {
      const std::size_t stride = step.reconstruct_tail->entered();
      room.of_code.resize(n * stride);
      product(kernels, *step.reconstruct, dim_, b, n, room.of_code.data(), room);
      room.back.resize(n * dim_in_);
      leave(kernels, *step.reconstruct_tail, room.of_code.data(), stride, n, room.back.data(), room);
      for (std::size_t r = 0; r < n; ++r) {
        float* const back = room.back.data() + r * dim_in_;
        const float scale = to_unit(kernels.wide_dot(back, back, dim_in_));
        for (std::size_t j = 0; j < dim_in_; ++j) back[j] = f[r * dim_in_ + j] - back[j] * scale;
      }
      product(kernels, *step.first, dim_in_, room.back.data(), n, entered, room);
    }
    leave(kernels, step.residual, entered, rows, n, room.rest.data(), room);
    weight /= 2;
    for (std::size_t i = 0; i < n * dim_; ++i) b[i] += weight * sign_of(room.rest[i]);
  }
}

void RecurrentBinarizer::map(const KernelTable& kernels, const float* x, std::size_t count, float* codes,
                             Room& room) const {
  for (std::size_t first = 0; first < count; first += at_once) {
    const std::size_t n = std::min(at_once, count - first);
    const float* f = x + first * dim_in_;
    if (scale_ != 1) {
      room.scaled.assign(f, f + n * dim_in_);
      for (float& value : room.scaled) value *= scale_;
      f = room.scaled.data();
    }
    map_some(kernels, f, n, codes + first * dim_, room);
  }
}

}  // namespace annbench
