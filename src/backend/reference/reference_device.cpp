#include "backend/reference/reference_device.h"

#include "kernels/reference/table.h"

namespace lacuna {

Kernel ReferenceDevice::find(std::string_view operation, DType dtype) const {
  return find_in(reference_kernels(), operation, dtype);
}

}  // namespace lacuna
