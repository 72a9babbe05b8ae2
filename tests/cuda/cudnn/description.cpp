#include "description.h"

#include <map>

namespace cudnn_double {

namespace {

const std::map<std::string, Type> types{{"CUDNN_DATA_FLOAT", Type::real32},
                                        {"CUDNN_DATA_HALF", Type::real16},
                                        {"CUDNN_DATA_BFLOAT16", Type::brain16}};

}  // namespace

Tensor read_tensor(const json& object) {
  Fields fields(object, "tensor " + object.value("name", std::string("without a name")));
  Tensor t;
  t.id = std::stoll(fields.get<std::string>("name"));
  const auto type = fields.get<std::string>("dataType");
  fields.require(types.contains(type), type + " is not known");
  t.type = types.at(type);
  t.dims = fields.get<Dims>("dim");
  t.strides = fields.get<Dims>("stride");
  t.is_virtual = fields.get<bool>("isVirtual");
  t.by_value = fields.get<bool>("isByValue");
  t.alignment = fields.get<int64_t>("ptrAlignment");
  fields.must_be("vectCount", 1);
  if (fields.has("vectDim")) fields.ignore("vectDim");  // without meaning for vectors of one
  fields.must_be("reordering", std::string("CUDNN_TENSOR_REORDERING_NONE"));
  fields.finish();
  fields.require(!t.dims.empty() && t.dims.size() == t.strides.size(), "dims and strides differ");
  fields.require(std::ranges::all_of(t.dims, [](int64_t d) { return d > 0; }), "a dim is below 1");
  fields.require(std::ranges::all_of(t.strides, [](int64_t s) { return s >= 0; }),
                 "stride below 0");
  fields.require(!t.by_value || t.count() == 1, "only scalars can be passed by value");
  return t;
}

}  // namespace cudnn_double
