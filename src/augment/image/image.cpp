#include "augment/image/image.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "augment/image/drawn_views.h"
#include "augment/image/view.h"

namespace lacuna {
namespace {

// What all recipes share: how views become rows. What is drawn is their own.
class ImageAugmentation : public Augmentation, public DrawnViews {
 public:
  const Shape& input() const final { return input_; }
  const std::vector<OutputField>& outputs() const final { return outputs_; }
  void apply(const float* sample, const SampleKey& key, std::span<void* const> to,
             Scratch& scratch) const final {
    std::array<ViewDraws, max_draw_view + 1> drawn;
    draw_all(key, drawn, to.subspan(views_.size()));
    for (size_t which = 0; which < views_.size(); ++which)
      views_[which].make(sample, drawn[which], scratch.floats(scratch_),
                         static_cast<float*>(to[which]));
  }

  const DrawnViews* drawn() const final {
    return views_[0].spec().channels <= max_view_channels ? this : nullptr;
  }
  std::vector<View> views(double low, double high) const final {
    std::vector<View> all;
    for (size_t which = 0; which < views_.size(); ++which)
      all.push_back({outputs_[which].name, drawn_outputs_[which].name, outputs_[which].shape,
                     views_[which].attributes(low, high)});
    return all;
  }
  std::vector<OutputField> inputs(DType stored) const final {
    std::vector<OutputField> all = {{sample_field, input_, stored}};
    all.insert(all.end(), drawn_outputs_.begin(), drawn_outputs_.end());
    return all;
  }
  void draw(const SampleKey& key, std::span<void* const> to) const final {
    std::array<ViewDraws, max_draw_view + 1> drawn;
    draw_all(key, drawn, to.subspan(views_.size()));
    for (size_t which = 0; which < views_.size(); ++which)
      std::memcpy(to[which], &drawn[which], sizeof(ViewDraws));
  }

 protected:
  explicit ImageAugmentation(const Shape& sample) : input_(sample) {}

  void add_view(ViewMaker view) { add_view(concat("view", views_.size()), std::move(view)); }
  // A view's place among the fields is its place among the views: views come first.
  void add_view(std::string name, ViewMaker view) {
    drawn_outputs_.push_back(
        {concat(name, ".draws"), Shape{static_cast<int64_t>(sizeof(ViewDraws))}, DType::u8});
    outputs_.push_back({std::move(name), view.shape(), DType::f32});
    scratch_ = std::max(scratch_, view.scratch_floats());
    views_.push_back(std::move(view));
  }
  void add_field(const OutputField& field) {
    outputs_.push_back(field);
    drawn_outputs_.push_back(field);
  }
  const std::vector<ViewMaker>& makers() const { return views_; }
  // Everything that is random of one sample: of each view, and the fields behind the views.
  virtual void draw_all(const SampleKey& key, std::span<ViewDraws> drawn,
                        std::span<void* const> fields) const {
    LACUNA_CHECK(fields.empty());
    for (size_t which = 0; which < views_.size(); ++which)
      drawn[which] = views_[which].draw(key, 0);
  }

 private:
  Shape input_;
  std::vector<OutputField> outputs_, drawn_outputs_;
  std::vector<ViewMaker> views_;
  size_t scratch_ = 0;
};

class Views final : public ImageAugmentation {
 public:
  Views(const Shape& sample, int count, const AugmentOptions& options,
        const Normalisation& normalisation, bool random)
      : ImageAugmentation(sample) {
    for (int view = 0; view < count; ++view)
      add_view(ViewMaker(sample, options, static_cast<uint32_t>(view), normalisation, random));
  }
};

class RotatedView final : public ImageAugmentation {
 public:
  RotatedView(const Shape& sample, const AugmentOptions& options,
              const Normalisation& normalisation)
      : ImageAugmentation(sample) {
    add_view(ViewMaker(sample, options, 0, normalisation, true));
    add_field({"rotation", Shape(), DType::i64});
    const ViewSpec& spec = makers()[0].spec();
    if (spec.out_height != spec.out_width)
      bad_input("predicting rotation needs square views, but these have ", spec.out_height, " x ",
                spec.out_width, " pixels; set augment.size");
    if (options.turns > 0 || options.vertical_flip > 0)
      bad_input("augment.turns = ", options.turns,
                " and augment.vertical_flip = ", options.vertical_flip,
                " contradict the label of rotation prediction; set both to 0");
  }

 private:
  void draw_all(const SampleKey& key, std::span<ViewDraws> drawn,
                std::span<void* const> fields) const override {
    const uint64_t quarters = TransformDraws(key, 0, rotation_label_id).below(0, 4);
    drawn[0] = makers()[0].draw(key, quarters);
    *static_cast<int64_t*>(fields[0]) = static_cast<int64_t>(quarters);
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

bool changes_pixels(const ViewSpec& view) {
  const AugmentOptions& options = view.options;
  const bool jitters = std::any_of(options.jitter.begin(), options.jitter.end(),
                                   [](double strength) { return strength > 0; });
  return (jitters && options.jitter_probability > 0) || options.greyscale > 0 || view.blur > 0 ||
         view.solarise > 0 || options.noise > 0 || options.channel_drop > 0;
}

class MaskedView final : public ImageAugmentation {
 public:
  MaskedView(const Shape& sample, const AugmentOptions& options, const Normalisation& normalisation)
      : ImageAugmentation(sample), edge_(options.mask_edge) {
    add_view(ViewMaker(sample, options, 0, normalisation, true));
    if (changes_pixels(makers()[0].spec()))
      add_view("target", ViewMaker(sample, geometry_of(options), 0, normalisation, true));
    height_ = makers()[0].spec().out_height;
    width_ = makers()[0].spec().out_width;
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

 private:
  void draw_all(const SampleKey& key, std::span<ViewDraws> drawn,
                std::span<void* const> fields) const override {
    for (size_t which = 0; which < makers().size(); ++which)
      drawn[which] = makers()[which].draw(key, 0);
    draw_mask(TransformDraws(key, 0, mask_id, Purpose::mask), static_cast<float*>(fields[0]));
  }
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

std::unique_ptr<Augmentation> image_views(const Shape& sample, int views,
                                          const AugmentOptions& options,
                                          const Normalisation& normalisation) {
  return std::make_unique<Views>(sample, views, options, normalisation, true);
}

std::unique_ptr<Augmentation> rotated_view(const Shape& sample, const AugmentOptions& options,
                                           const Normalisation& normalisation) {
  return std::make_unique<RotatedView>(sample, options, normalisation);
}

std::unique_ptr<Augmentation> masked_view(const Shape& sample, const AugmentOptions& options,
                                          const Normalisation& normalisation) {
  return std::make_unique<MaskedView>(sample, options, normalisation);
}

std::unique_ptr<Augmentation> geometry_view(const Shape& sample, const AugmentOptions& options) {
  const auto channels = static_cast<size_t>(sample.rank() == 3 ? sample[2] : 1);
  const Normalisation none{std::vector<float>(channels, 0), std::vector<float>(channels, 1)};
  return std::make_unique<Views>(sample, 1, geometry_of(options), none, true);
}

std::unique_ptr<Augmentation> plain_view(const Shape& sample, int64_t size,
                                         const Normalisation& normalisation) {
  AugmentOptions options;
  options.size = size;
  return std::make_unique<Views>(sample, 1, options, normalisation, false);
}

}  // namespace lacuna
