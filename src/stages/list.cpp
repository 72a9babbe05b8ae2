#include "stages/list.h"

#include "stages/check/stage.h"
#include "stages/embed/stage.h"
#include "stages/finetune/stage.h"
#include "stages/inspect/stage.h"
#include "stages/predict/stage.h"
#include "stages/pretrain/stage.h"
#include "stages/status/stage.h"
#include "stages/sweep/stage.h"

namespace lacuna {

std::vector<Stage> stages() {
  return {check_stage(),   pretrain_stage(), embed_stage(), finetune_stage(),
          predict_stage(), status_stage(),   sweep_stage(), inspect_stage()};
}

}  // namespace lacuna
