#include "encoders/encoder.h"

namespace lacuna {

void require_image(std::string_view encoder, const Shape& sample) {
  if (sample.rank() == 3) return;
  bad_input("encoder ", encoder, " takes images [height, width, channels], but a sample is ",
            sample, ": choose another encoder.name or data.dataset");
}

}  // namespace lacuna
