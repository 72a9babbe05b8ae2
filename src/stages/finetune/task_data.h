// What a task is told of its samples beside the samples themselves: targets, and by what they are
// held out.
#pragma once

#include "config/configuration.h"
#include "stages/setup/source.h"
#include "tasks/held_out.h"
#include "tasks/list.h"

namespace lacuna {

// The configuration that a source of such samples is opened with: labels are read with the samples
// where they are classes; values are read by targets_of() alone.
Configuration with_targets(const Configuration& configuration, TargetType type);

// Collective, as all here; the same on every rank. The targets of all samples of a source in the
// column `path`: classes, as Source reads them, or values [N] or [N, width], as numbers of any
// type. bad_input where a column has not one row for each sample, or a value is no number.
Targets targets_of(const Source& source, TargetType type, const std::string& path,
                   Communicator& communicator);

// As task.held_out says, of the training samples; with the columns of task.group or task.time.
HoldOut hold_out_of(const Configuration& configuration, const Source& train,
                    Communicator& communicator);

// Of their bytes, as text: other targets have another one.
std::string hash_of(const Targets& targets);

}  // namespace lacuna
