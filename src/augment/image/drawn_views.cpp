#include "augment/image/drawn_views.h"

#include "ops/views.h"

namespace lacuna {

Fields with_views(const Fields& fields, std::span<const DrawnViews::View> views, DType compute) {
  Fields all = fields;
  for (const DrawnViews::View& view : views) {
    all.add(view.name, make_views(fields[DrawnViews::sample_field], fields[view.draws], view.shape,
                                  compute, view.attributes));
  }
  return all;
}

}  // namespace lacuna
