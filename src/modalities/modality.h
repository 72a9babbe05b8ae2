// Modality: what the numbers of a stored sample mean. It knows which of the data set's columns it
// needs, what it must find in the data before training, how to say in one line how it reads a
// sample, and which views it offers. One file per modality; modalities/list.h names them. The
// loader, the training loop and the stages know none by name, and objectives ask for views, masks
// and targets, never for an image.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/device.h"
#include "comm/communicator.h"
#include "config/configuration.h"
#include "data/load/recipe.h"
#include "data/options.h"
#include "data/survey/survey.h"
#include "data/values/statistics.h"
#include "nn/fields.h"

namespace lacuna {

// Found in the data once, and stored in the run as State "data.<name>", f64 [n]: an encoder is used
// on what it was trained on.
struct Fact {
  std::string name;
  std::vector<double> values;
  const char* axes = "";  // of the values, for the checkpoint
};
using Facts = std::vector<Fact>;

// A recipe whose second half a device makes: what the host loads, and what the device makes of it.
struct Halves {
  RecipePointer host;
  // The fields as loaded, and those that the device makes; floats of type `compute`.
  std::function<Fields(const Fields&, DType compute)> device;
};

class Modality {
 public:
  virtual ~Modality() = default;

  // "image": the value of data.kind.
  virtual std::string_view name() const = 0;
  // How a sample is read: "32 x 32 pixels, 3 channels (last), uint8, 0 to 255 as 0 to 1".
  virtual std::string description() const = 0;
  virtual Facts facts() const = 0;
  // What the user should know of how samples are read, one sentence each.
  virtual std::vector<std::string> warnings() const { return {}; }
  virtual std::vector<std::string> notes() const { return {}; }  // which are no warnings

  // One decoded sample: [H, W, C], [L, C], [D].
  virtual const Shape& sample() const = 0;
  // One sample's view: what an encoder is made for.
  virtual const Shape& view() const = 0;

  // Whether samples have several lengths: each view is padded to view(), and a field "view0.mask",
  // float32 [view()[0]], is 1 where it is not.
  virtual bool padded() const { return false; }

  // "view0" without anything random, for embedding and evaluation.
  virtual RecipePointer plain() const = 0;
  // "view0", "view1", …: independent random views.
  virtual RecipePointer views(int count) const = 0;
  // "view0", whole; "mask", float32, the view's shape with one channel: 1 where the objective must
  // hide the view; and "target", the view that is to be found again, where "view0" differs from it
  // elsewhere than under the mask. Where numbers may be missing also "counted", float32, the view's
  // shape: 1 where the mask hides a number that is there.
  virtual RecipePointer masked() const = 0;
  // The share of a view that the mask hides, the same for every sample.
  virtual double masked_share() const = 0;
  // "view0", turned by "rotation" (int64 [], 0 to 3) quarters of a turn. bad_input where samples
  // cannot be turned.
  virtual RecipePointer rotated() const;

  // `recipe` is one of this modality's. Nothing where the host makes it all: because the device
  // reads the host's memory, or cannot make these views.
  virtual std::optional<Halves> halves(const RecipePointer& recipe, const Device& device) const;

  // A look at some of the samples, for check.
  virtual Survey survey(SurveyOptions options) const = 0;
};

// The modalities of the parts of a sample, by their names; "" is the first, which is always there.
using PartModalities = std::map<std::string, const Modality*>;

// Of a recipe of the first part's, or of several parts' (JoinedRecipe): what the host loads, and
// what the device makes of it, where it makes anything.
Halves halves_of(const PartModalities& parts, const RecipePointer& recipe, const Device& device);

// What a modality is made from.
struct ModalityParts {
  const Dataset& dataset;
  const Configuration& configuration;
  // The values of a fact that is known already, from a checkpoint or from another source, none
  // where that has no such fact; an empty function: facts are to be found.
  std::function<std::vector<double>(const std::string& name)> known = {};
  const Configuration* run = nullptr;  // that the known facts are of, where it is another one
  MissingNumbers missing = {};
  bool index_only = false;  // only the index may be read; facts that need more mean nothing
  ScanOptions scan = {};
  Communicator& communicator;
};

}  // namespace lacuna
