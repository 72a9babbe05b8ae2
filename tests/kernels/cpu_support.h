// Runs one kernel of the CPU device and of the reference device on the same operands.
#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/cpu_device.h"
#include "backend/reference/reference_device.h"
#include "base/dtype.h"
#include "kernels/attention.h"
#include "kernels/cpu/support/onednn.h"
#include "kernels/layer_norm.h"

namespace lacuna::test {

// The letters of kernels/*.h: F the activations' type, P the parameters', and the fixed ones.
enum class Kind { F, P, f64, i64 };

struct Operand {
  Kind kind;
  Shape shape;
  std::vector<double> values;  // empty: zeros
};

// Numbers in (-1, 1) that depend on seed and position alone.
inline std::vector<double> numbers(int64_t count, uint64_t seed, double scale = 1,
                                   double shift = 0) {
  std::vector<double> values(static_cast<size_t>(count));
  uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
  for (double& value : values) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    const uint64_t bits = (state * 0x2545F4914F6CDD1Du) >> 11;
    value = (static_cast<double>(bits) / 4503599627370496.0 - 1) * scale + shift;
  }
  return values;
}

inline Operand random_operand(Kind kind, const Shape& shape, uint64_t seed, double scale = 1,
                              double shift = 0) {
  return {kind, shape, numbers(shape.count(), seed, scale, shift)};
}

inline double rounded_to(DType dtype, double value) {
  if (dtype == DType::bf16) return static_cast<float>(BFloat16(static_cast<float>(value)));
  if (dtype == DType::f32) return static_cast<float>(value);
  return value;
}

// An operand in a device's memory, placed `misaligned` elements behind an aligned address.
class Placed {
 public:
  Placed(const Operand& operand, DType dtype, size_t misaligned = 1)
      : count_(static_cast<size_t>(operand.shape.count())),
        bytes_((count_ + misaligned + 1) * size_of(dtype) + 64) {
    view_ = {bytes_.data() + misaligned * size_of(dtype), dtype, operand.shape};
    for (size_t i = 0; i < operand.values.size(); ++i) put(i, operand.values[i]);
  }
  const View& view() const { return view_; }
  void put(size_t i, double value) {
    switch (view_.dtype) {
      case DType::f64:
        view_.as<double>()[i] = value;
        break;
      case DType::f32:
        view_.as<float>()[i] = static_cast<float>(value);
        break;
      case DType::bf16:
        view_.as<BFloat16>()[i] = BFloat16(static_cast<float>(value));
        break;
      case DType::i64:
        view_.as<int64_t>()[i] = static_cast<int64_t>(value);
        break;
      case DType::i32:
        view_.as<int32_t>()[i] = static_cast<int32_t>(value);
        break;
      case DType::u8:
        view_.as<uint8_t>()[i] = static_cast<uint8_t>(value);
        break;
      default:
        FAIL("type");
    }
  }
  std::vector<double> values() const {
    std::vector<double> all(count_);
    for (size_t i = 0; i < count_; ++i) {
      switch (view_.dtype) {
        case DType::f64:
          all[i] = view_.as<double>()[i];
          break;
        case DType::f32:
          all[i] = static_cast<double>(view_.as<float>()[i]);
          break;
        case DType::bf16:
          all[i] = static_cast<double>(float(view_.as<BFloat16>()[i]));
          break;
        case DType::i64:
          all[i] = static_cast<double>(view_.as<int64_t>()[i]);
          break;
        case DType::i32:
          all[i] = view_.as<int32_t>()[i];
          break;
        case DType::u8:
          all[i] = view_.as<uint8_t>()[i];
          break;
        default:
          FAIL("type");
      }
    }
    return all;
  }

 private:
  size_t count_;
  std::vector<char> bytes_;
  View view_;
};

struct Job {
  std::string operation;
  std::vector<Operand> in;
  std::vector<Operand> out;  // with values: targets of an update
  Attributes attributes;
};

using Results = std::vector<std::vector<double>>;

inline Results run_on(Device& device, const Job& job, const std::function<DType(Kind)>& type_of) {
  std::vector<Placed> in;
  std::vector<Placed> out;
  for (const Operand& operand : job.in) in.emplace_back(operand, type_of(operand.kind));
  for (const Operand& operand : job.out) out.emplace_back(operand, type_of(operand.kind));
  std::vector<View> in_views;
  std::vector<View> out_views;
  for (const Placed& placed : in) in_views.push_back(placed.view());
  for (const Placed& placed : out) out_views.push_back(placed.view());
  const Kernel kernel = device.find(job.operation, in_views.at(0).dtype);
  INFO(job.operation << " of " << name_of(in_views.at(0).dtype) << " on " << device.name());
  REQUIRE(kernel != nullptr);
  kernel({in_views, out_views, job.attributes, device.context()});
  Results results;
  for (const Placed& placed : out) results.push_back(placed.values());
  return results;
}

// Relative L2 distance of two vectors.
inline double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return difference == 0 ? 0 : std::sqrt(difference / norm);
}

inline Results reference_results(const Job& job) {
  ReferenceDevice device;
  return run_on(device, job, [](Kind kind) { return kind == Kind::i64 ? DType::i64 : DType::f64; });
}

inline Results cpu_results(const Job& job, DType activations, int threads) {
  CpuDevice device(threads);
  return run_on(device, job, [&](Kind kind) {
    switch (kind) {
      case Kind::F:
        return activations;
      case Kind::P:
        return DType::f32;
      case Kind::f64:
        return DType::f64;
      case Kind::i64:
        return DType::i64;
    }
    return DType::f64;
  });
}

// Checks the CPU's kernel against the reference's, on 1 and 3 threads, in f32 and, where `bf16` and
// the processor has it, in bfloat16 (to 1e-2).
inline void compare(Job job, double tolerance = 2e-6, bool bf16 = true) {
  for (const DType activations : {DType::f32, DType::bf16}) {
    if (activations == DType::bf16 && !(bf16 && onednn_has_bf16())) continue;
    for (Operand& operand : job.in) {
      const DType type = operand.kind == Kind::F   ? activations
                         : operand.kind == Kind::P ? DType::f32
                                                   : DType::f64;
      for (double& value : operand.values) value = rounded_to(type, value);
    }
    const Results expected = reference_results(job);
    for (const int threads : {1, 3}) {
      const Results found = cpu_results(job, activations, threads);
      for (size_t i = 0; i < expected.size(); ++i) {
        INFO(job.operation << " output " << i << " " << job.out[i].shape << " "
                           << name_of(activations) << " threads " << threads);
        CHECK(distance(found[i], expected[i]) <= (activations == DType::bf16 ? 1e-2 : tolerance));
      }
    }
  }
}

// Forward and backward of layer normalisation of x of this shape.
inline void compare_layer_norm(const Shape& shape) {
  const Shape features{shape[-1]};
  const Shape rows{shape.count() / shape[-1]};
  const Operand gamma = random_operand(Kind::P, features, 61, 0.3, 1);
  Job forward{
      "layer_norm",
      {random_operand(Kind::F, shape, 60, 2, 3), gamma, random_operand(Kind::P, features, 62)},
      {{Kind::F, shape, {}}, {Kind::P, rows, {}}, {Kind::P, rows, {}}},
      LayerNormAttributes{1e-6}};
  compare(forward);
  for (double& value : forward.in[0].values) value = rounded_to(DType::bf16, value);
  const Results y = reference_results(forward);
  compare({"layer_norm_gradient",
           {random_operand(Kind::F, shape, 63),
            forward.in[0],
            {Kind::P, rows, y[1]},
            {Kind::P, rows, y[2]},
            gamma},
           {{Kind::F, shape, {}}, {Kind::P, features, {}}, {Kind::P, features, {}}},
           {}});
}

// Forward and backward of self-attention of these sizes.
inline void compare_attention(int64_t batch, int64_t tokens, int64_t heads, int64_t size) {
  CAPTURE(batch, tokens, heads, size);
  const Shape packed{batch, tokens, 3 * heads * size};
  const Shape shape{batch, tokens, heads * size};
  const Shape rows{batch, heads, tokens};
  const Attention attributes{0.3, heads};
  Job forward{"attention",
              {random_operand(Kind::F, packed, 64)},
              {{Kind::F, shape, {}}, {Kind::P, rows, {}}},
              attributes};
  compare(forward);
  for (double& value : forward.in[0].values) value = rounded_to(DType::bf16, value);
  const Results y = reference_results(forward);
  compare({"attention_gradient",
           {random_operand(Kind::F, shape, 65),
            forward.in[0],
            {Kind::F, shape, y[0]},
            {Kind::P, rows, y[1]}},
           {{Kind::F, packed, {}}},
           attributes});
}

}  // namespace lacuna::test
