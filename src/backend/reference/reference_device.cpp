#include "backend/reference/reference_device.h"

#include "kernels/reference/support/table.h"

namespace lacuna {

Kernel ReferenceDevice::find(std::string_view operation, DType dtype) const {
  return find_kernel(reference_kernels(), operation, dtype);
}

}  // namespace lacuna
