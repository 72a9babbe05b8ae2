#include "golden/golden.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "support/source_folder.h"

namespace lacuna::golden {

namespace {

constexpr int64_t largest_whole = 64;
constexpr size_t projections = 8;

double norm(std::span<const double> x) {
  return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0));
}

// make.py's summary().
std::vector<double> summary(const std::vector<double>& values) {
  if (static_cast<int64_t>(values.size()) <= largest_whole) return values;
  std::vector<double> result(1 + projections, 0.0);
  result[0] = norm(values);
  const Draws draws(1, Purpose::test, hash_name("projection"));
  std::array<uint32_t, 4> block{};
  for (size_t i = 0; i < values.size(); ++i) {
    if (i % 4 == 0) block = draws.block(static_cast<uint32_t>(i / 4));
    for (size_t k = 0; k < projections; ++k) {
      result[1 + k] += (block[i % 4] >> k) & 1 ? -values[i] : values[i];
    }
  }
  return result;
}

bool is_gradient(const std::string& name) { return name.starts_with("gradient/"); }

double norm_of(const Case::Tensor& tensor) {
  return tensor.elements <= largest_whole ? norm(tensor.values) : std::abs(tensor.values[0]);
}

double norm_of_gradients(const Case& expected) {
  double sum = 0;
  for (const auto& [name, tensor] : expected.tensors) {
    if (is_gradient(name)) sum += norm_of(tensor) * norm_of(tensor);
  }
  return std::sqrt(sum);
}

double distance(const Case::Tensor& expected, const std::vector<double>& ours) {
  if (expected.elements != static_cast<int64_t>(ours.size()))
    return std::numeric_limits<double>::quiet_NaN();
  std::vector<double> change = summary(ours);
  for (size_t i = 0; i < change.size(); ++i) change[i] -= expected.values[i];
  if (expected.elements <= largest_whole) return norm(change);
  const double by_projections =
      norm(std::span(change).subspan(1)) / std::sqrt(static_cast<double>(projections));
  return std::isnan(change[0]) ? change[0] : std::max(std::abs(change[0]), by_projections);
}

}  // namespace

Case::Case(hdf5::Group group) : group_(std::make_shared<hdf5::Group>(std::move(group))) {
  const hdf5::Dataset names = group_->dataset("names");
  const HostTensor sizes = group_->dataset("sizes").read();
  const HostTensor all = group_->dataset("values").read();
  auto next = all.as<double>().begin();
  size_t i = 0;
  for (const std::string& name : names.read_texts(0, names.rows())) {
    const int64_t elements = sizes.as<int64_t>()[i++];
    const auto count = elements <= largest_whole ? elements : int64_t{1 + projections};
    tensors[name] = {elements, std::vector<double>(next, next + count)};
    next += count;
  }
  REQUIRE(next == all.as<double>().end());
}

void for_each_case(const std::string& kind,
                   const std::function<void(const std::string&, const Case&)>& f) {
  int cases = 0;
  for (const auto& made :
       std::filesystem::directory_iterator(testing::source_folder() / "tests/golden")) {
    if (made.path().extension() != ".h5") continue;
    const hdf5::File file = hdf5::File::open(made.path().string());
    if (!file.has(kind)) continue;
    const hdf5::Group group = file.group(kind);
    for (const hdf5::Entry& entry : group.entries()) {
      f(entry.name, Case(group.group(entry.name)));
      ++cases;
    }
  }
  REQUIRE(cases > 0);
}

std::vector<Difference> differences(const Case& expected, const Results& ours) {
  constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  const double whole = norm_of_gradients(expected);
  std::vector<Difference> all;
  for (const auto& [name, tensor] : expected.tensors) {
    const auto found = ours.find(name);
    if (found == ours.end()) {
      all.push_back({name, unknown});
      continue;
    }
    double size = norm_of(tensor);
    if (is_gradient(name) && size < 1e-6 * whole) size = whole;
    const double by = distance(tensor, found->second);
    all.push_back({name, by == 0 ? 0 : by / size});
  }
  for (const auto& [name, values] : ours) {
    if (!expected.tensors.contains(name)) all.push_back({name, unknown});
  }
  return all;
}

std::vector<Difference> beyond(const std::vector<Difference>& all, const Limits& limits) {
  std::vector<Difference> result;
  for (const Difference& d : all) {
    const double limit = is_gradient(d.name) ? limits.backward : limits.forward;
    if (!(d.relative <= limit)) result.push_back(d);
  }
  return result;
}

std::ostream& operator<<(std::ostream& out, const Setting& setting) {
  return out << " on " << setting.device << (setting.eager ? ", eager" : "");
}

void check(const Case& expected, const Results& ours, const Limits& limits,
           const std::string& where) {
  const std::vector<Difference> all = differences(expected, ours);
  double forward = 0;
  double backward = 0;
  for (const Difference& d : all) {
    double& worst = is_gradient(d.name) ? backward : forward;
    worst = std::max(worst, d.relative);
  }
  UNSCOPED_INFO(where << ": forward " << forward << ", backward " << backward);
  std::string failed;
  for (const Difference& d : beyond(all, limits)) failed += concat(d.name, " ", d.relative, "\n");
  CHECK(failed == "");
}

std::vector<double> rounded_normal(const std::string& name, int64_t count, uint64_t seed,
                                   uint32_t detail) {
  const Draws draws(seed, Purpose::test, hash_name(name), detail);
  std::vector<double> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(draws.normal(static_cast<uint32_t>(i)));
  }
  return values;
}

}  // namespace lacuna::golden
