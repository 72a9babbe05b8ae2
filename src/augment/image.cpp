#include "augment/image.h"

#include <algorithm>
#include <cmath>

#include "augment/view.h"

namespace lacuna {
namespace {

class ImageRecipe : public Recipe {
 public:
  const Shape& input() const override { return input_; }
  const std::vector<OutputField>& outputs() const override { return outputs_; }

 protected:
  explicit ImageRecipe(const Shape& sample) : input_(sample) {}

  void add_view(ViewMaker view) { add_view(concat("view", views_.size()), std::move(view)); }
  // A view's place among the fields is its place among the views: views come first.
  void add_view(std::string name, ViewMaker view) {
    outputs_.push_back({std::move(name), view.shape(), DType::f32});
    scratch_ = std::max(scratch_, view.scratch_floats());
    views_.push_back(std::move(view));
  }
  void add_field(OutputField field) { outputs_.push_back(std::move(field)); }
  void make_view(size_t which, const float* sample, const SampleKey& key, uint64_t turns,
                 std::span<void* const> to, Scratch& scratch) const {
    views_[which].make(sample, key, turns, scratch.floats(scratch_),
                       static_cast<float*>(to[which]));
  }
  const std::vector<ViewMaker>& views() const { return views_; }

 private:
  Shape input_;
  std::vector<OutputField> outputs_;
  std::vector<ViewMaker> views_;
  size_t scratch_ = 0;
};

class Views final : public ImageRecipe {
 public:
  Views(const Shape& sample, int count, const AugmentOptions& options,
        const Normalisation& normalisation, bool random)
      : ImageRecipe(sample) {
    for (int view = 0; view < count; ++view)
      add_view(ViewMaker(sample, options, static_cast<uint32_t>(view), normalisation, random));
  }
  void apply(const float* sample, const SampleKey& key, std::span<void* const> to,
             Scratch& scratch) const override {
    for (size_t which = 0; which < views().size(); ++which)
      make_view(which, sample, key, 0, to, scratch);
  }
};

class RotatedView final : public ImageRecipe {
 public:
  RotatedView(const Shape& sample, const AugmentOptions& options,
              const Normalisation& normalisation)
      : ImageRecipe(sample) {
    add_view(ViewMaker(sample, options, 0, normalisation, true));
    add_field({"rotation", Shape(), DType::i64});
    const ViewPlan& plan = views()[0].plan();
    if (plan.out_height != plan.out_width)
      bad_input("predicting rotation needs square views, but these have ", plan.out_height, " x ",
                plan.out_width, " pixels; set augment.size");
    if (options.turns > 0 || options.vertical_flip > 0)
      bad_input("augment.turns = ", options.turns,
                " and augment.vertical_flip = ", options.vertical_flip,
                " contradict the label of rotation prediction; set both to 0");
  }
  void apply(const float* sample, const SampleKey& key, std::span<void* const> to,
             Scratch& scratch) const override {
    const uint64_t quarters = TransformDraws(key, 0, rotation_label_id).below(0, 4);
    make_view(0, sample, key, quarters, to, scratch);
    *static_cast<int64_t*>(to[1]) = static_cast<int64_t>(quarters);
  }
};

// The same boxes, flips and turns, and every pixel as the sample has it.
AugmentOptions geometry_of(AugmentOptions options) {
  options.jitter_probability = 0;
  options.greyscale = 0;
  options.blur.clear();
  options.solarise.clear();
  options.noise = 0;
  options.channel_drop = 0;
  return options;
}

bool changes_pixels(const ViewPlan& view) {
  const AugmentOptions& options = view.options;
  const bool jitters = std::any_of(options.jitter.begin(), options.jitter.end(),
                                   [](double strength) { return strength > 0; });
  return (jitters && options.jitter_probability > 0) || options.greyscale > 0 || view.blur > 0 ||
         view.solarise > 0 || options.noise > 0 || options.channel_drop > 0;
}

class MaskedView final : public ImageRecipe {
 public:
  MaskedView(const Shape& sample, const AugmentOptions& options, const Normalisation& normalisation)
      : ImageRecipe(sample), edge_(options.mask_edge) {
    add_view(ViewMaker(sample, options, 0, normalisation, true));
    if (changes_pixels(views()[0].plan()))
      add_view("target", ViewMaker(sample, geometry_of(options), 0, normalisation, true));
    height_ = views()[0].plan().out_height;
    width_ = views()[0].plan().out_width;
    add_field({"mask", {height_, width_, 1}, DType::f32});
    if (!(options.mask > 0 && options.mask < 1))
      bad_input("augment.mask = ", options.mask, ": needs a share between 0 and 1");
    if (!(edge_[0] > 0 && edge_[0] <= edge_[1] && edge_[1] <= 1))
      bad_input("augment.mask_edge = [", edge_[0], ", ", edge_[1],
                "]: needs lowest first, above 0 and at most 1");
    hidden_ =
        std::clamp<int64_t>(std::llround(options.mask * static_cast<double>(height_ * width_)), 1,
                            height_ * width_ - 1);
  }
  void apply(const float* sample, const SampleKey& key, std::span<void* const> to,
             Scratch& scratch) const override {
    const size_t count = views().size();
    for (size_t which = 0; which < count; ++which) make_view(which, sample, key, 0, to, scratch);
    draw_mask(TransformDraws(key, 0, mask_id, Purpose::mask), static_cast<float*>(to[count]));
  }

 private:
  int64_t edge(const TransformDraws& draws, uint32_t index, int64_t whole) const {
    const double share = draws.between(index, edge_[0], edge_[1]);
    return std::clamp<int64_t>(static_cast<int64_t>(share * static_cast<double>(whole) + 0.5), 1,
                               whole);
  }
  // Rectangles until enough is hidden; the last one ends, row by row, where it is.
  void draw_mask(const TransformDraws& draws, float* mask) const {
    std::fill_n(mask, height_ * width_, 0.f);
    int64_t left_to_hide = hidden_;
    for (uint32_t rectangle = 0; left_to_hide > 0; ++rectangle) {
      const uint32_t index = 4 * rectangle;
      const int64_t height = edge(draws, index, height_);
      const int64_t width = edge(draws, index + 1, width_);
      const auto place = [&](uint32_t at, int64_t free) {
        return static_cast<int64_t>(draws.below(at, static_cast<uint64_t>(free + 1)));
      };
      const int64_t top = place(index + 2, height_ - height);
      const int64_t left = place(index + 3, width_ - width);
      for (int64_t y = top; y < top + height; ++y)
        for (int64_t x = left; x < left + width && left_to_hide > 0; ++x) {
          float& pixel = mask[y * width_ + x];
          left_to_hide -= pixel == 0;
          pixel = 1;
        }
    }
  }

  Interval edge_;
  int64_t height_ = 0, width_ = 0;
  int64_t hidden_ = 0;  // pixels
};

}  // namespace

std::unique_ptr<Recipe> image_views(const Shape& sample, int views, const AugmentOptions& options,
                                    const Normalisation& normalisation) {
  return std::make_unique<Views>(sample, views, options, normalisation, true);
}

std::unique_ptr<Recipe> rotated_view(const Shape& sample, const AugmentOptions& options,
                                     const Normalisation& normalisation) {
  return std::make_unique<RotatedView>(sample, options, normalisation);
}

std::unique_ptr<Recipe> masked_view(const Shape& sample, const AugmentOptions& options,
                                    const Normalisation& normalisation) {
  return std::make_unique<MaskedView>(sample, options, normalisation);
}

std::unique_ptr<Recipe> plain_view(const Shape& sample, int64_t size,
                                   const Normalisation& normalisation) {
  AugmentOptions options;
  options.size = size;
  return std::make_unique<Views>(sample, 1, options, normalisation, false);
}

}  // namespace lacuna
