// What check tells of the data: how they are read, what is in them, and how they are divided over
// classes and files.
#pragma once

#include "data/load/access_pattern.h"
#include "data/options.h"
#include "data/survey/balance.h"
#include "data/survey/survey.h"
#include "stages/setup/report.h"

namespace lacuna {

void report_reading(const Dataset& dataset, const OrderSpec& order, const AccessPattern& pattern,
                    int ranks, Report& report);
void report_survey(const Dataset& dataset, const Survey& survey, Report& report);
// Balance over classes, where there are labels, and over files, where there are several; and
// whether batches mix them.
void report_balance(const Dataset& dataset, const OrderSpec& order, int64_t batch, Report& report);

}  // namespace lacuna
