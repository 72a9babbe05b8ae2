// How embed and predict write their file: one start after the other, each under a lease and with a
// log of attempts, until it is whole.
#pragma once

#include <string>

#include "stages/embed/resumable_embedding.h"

namespace lacuna {

// Of `--set` words, those that what is written may follow from: not when it is saved, stopped or
// told of, which the file does not keep, so that a start with other times goes on with it.
std::vector<std::string> kept_settings(const std::vector<std::string>& settings);

// Collective. `size` says what the file holds, for people: "65 x 32 representations of step 2". A
// file that is there whole, of the same origin, is left as it is. Errors: bad_input where the file
// is one of the data or another's; ResumableEmbedding's.
ExitStatus write_output(Embedder& embedder, const Source& source, const EarlyStop& early_stop,
                        StageContext& context, const ResumableEmbedding::Options& options,
                        const std::string& size);

}  // namespace lacuna
