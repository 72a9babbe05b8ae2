// SimSiam: a predictor and stop-gradient, and neither negatives nor a teacher (Chen, He 2021).
#pragma once

#include "objectives/objective.h"

namespace lacuna {

std::vector<Key> simsiam_keys();
std::unique_ptr<Objective> make_simsiam(const ObjectiveParts& parts);

}  // namespace lacuna
