// What check tells of a task before lacuna finetune is started: of its samples and their labels.
#pragma once

#include "base/log.h"
#include "config/configuration.h"
#include "data/survey/survey.h"
#include "stages/setup/report.h"
#include "stages/setup/stage.h"

namespace lacuna {

// Of the training samples. bad_input where finetune could not begin with these data and labels; the
// run that it starts from is not looked at.
Survey check_task(const Configuration& configuration, StageContext& context, Log& log,
                  Report& report);

}  // namespace lacuna
