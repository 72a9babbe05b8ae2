#include "tasks/scorer.h"

#include <algorithm>
#include <array>

#include "base/random.h"
#include "tasks/interval.h"

namespace lacuna {

namespace {

// How often a sample counts in a replicate, from 32 uniform bits: a Poisson variable of mean 1.
int poisson(uint32_t bits) {
  static const std::array<double, 12> below = [] {
    std::array<double, 12> all{};
    double probability = std::exp(-1.0), sum = 0;
    for (size_t k = 0; k < all.size(); ++k) {
      sum += probability;
      all[k] = sum * 0x1p32;
      probability /= static_cast<double>(k + 1);
    }
    return all;
  }();
  int count = 0;
  for (const double bound : below) count += static_cast<double>(bits) >= bound;
  return count;
}

}  // namespace

void Scorer::bootstrap(uint64_t seed, int replicates) {
  seed_ = seed;
  replicates_ = static_cast<size_t>(replicates);
  sums_.assign((1 + replicates_) * width_, {});
}

void Scorer::add(const Predicted& predicted, const Targets& targets,
                 std::span<const int64_t> samples) {
  std::vector<Term> terms;
  for (size_t row = 0; row < samples.size(); ++row) {
    terms.clear();
    add_terms(predicted, row, targets, static_cast<size_t>(samples[row]), terms);
    for (const Term& term : terms) sums_[term.sum].add(term.value);
    const Draws draws(seed_, Purpose::bootstrap, static_cast<uint64_t>(samples[row]));
    std::array<uint32_t, 4> words{};
    for (size_t replicate = 0; replicate < replicates_; ++replicate) {
      if (replicate % 4 == 0) words = draws.block(static_cast<uint32_t>(replicate / 4));
      const int weight = poisson(words[replicate % 4]);
      if (weight == 0) continue;
      DoubleDouble* sums = &sums_[(1 + replicate) * width_];
      for (const Term& term : terms) sums[term.sum].add(weight * term.value);
    }
  }
}

void Scorer::reduce(Communicator& communicator) {
  // In pieces, so that the memory for all ranks' stays small.
  constexpr size_t piece = 4096;
  const auto ranks = static_cast<size_t>(communicator.size());
  for (size_t first = 0; first < sums_.size(); first += piece) {
    const size_t count = std::min(piece, sums_.size() - first);
    const std::vector<size_t> bytes(ranks, count * sizeof(DoubleDouble));
    std::vector<DoubleDouble> all(ranks * count);
    communicator.all_gather(&sums_[first], all.data(), bytes).wait();
    for (size_t i = 0; i < count; ++i) {
      DoubleDouble& sum = sums_[first + i] = {};
      for (size_t rank = 0; rank < ranks; ++rank) sum.add(all[rank * count + i]);
    }
  }
}

std::vector<Score> Scorer::scores_of_replicate(size_t replicate) const {
  std::vector<double> sums;
  for (size_t i = 0; i < width_; ++i) sums.push_back(sums_[replicate * width_ + i].value());
  return scores_of(sums);
}

std::vector<Score> Scorer::scores() const {
  std::vector<Score> scores = scores_of_replicate(0);
  std::vector<std::vector<double>> replicated(scores.size());
  for (size_t replicate = 1; replicate <= replicates_; ++replicate) {
    const std::vector<Score> each = scores_of_replicate(replicate);
    for (size_t i = 0; i < each.size(); ++i) replicated[i].push_back(each[i].value);
  }
  for (size_t i = 0; i < scores.size(); ++i)
    scores[i].interval = percentile_interval(std::move(replicated[i]));
  return scores;
}

}  // namespace lacuna
