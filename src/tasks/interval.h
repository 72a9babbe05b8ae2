// Confidence intervals of 95 %.
#pragma once

#include <cstdint>
#include <vector>

#include "tasks/score.h"

namespace lacuna {

// The t below which Student's distribution of so many degrees of freedom (at least 1) has the
// probability p, 0 < p < 1; to 1e-10 of its size.
double student_t_quantile(double p, int64_t degrees_of_freedom);

struct Mean {
  double value = 0;
  ConfidenceInterval interval;  // Student's t; not known of one value
};
// Of independent values of one distribution, at least one.
Mean mean_of(const std::vector<double>& values);

// Between the quantiles 0.025 and 0.975 of a bootstrap's values, which are interpolated linearly
// between two of them (Hyndman, Fan 1996, definition 7); those that are not finite are left out.
ConfidenceInterval percentile_interval(std::vector<double> values);

}  // namespace lacuna
