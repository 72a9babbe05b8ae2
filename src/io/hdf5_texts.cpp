#include "io/hdf5_texts.h"

#include <cstring>

namespace lacuna::hdf5 {

Handle text_type() {
  Handle type = own<H5Tclose>(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.id(), H5T_VARIABLE);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

std::vector<std::string> collect_texts(hid_t stored_type, hid_t space, size_t count,
                                       const std::function<bool(hid_t, void*)>& read) {
  std::vector<std::string> texts;
  if (H5Tis_variable_str(stored_type) > 0) {
    const Handle type = own<H5Tclose>(H5Tcopy(H5T_C_S1));
    H5Tset_size(type.id(), H5T_VARIABLE);
    H5Tset_cset(type.id(), H5Tget_cset(stored_type));
    std::vector<char*> pointers(count, nullptr);
    if (!read(type.id(), pointers.data())) return {};
    for (const char* p : pointers) texts.emplace_back(p == nullptr ? "" : p);
    H5Dvlen_reclaim(type.id(), space, H5P_DEFAULT, pointers.data());
  } else {
    const size_t length = H5Tget_size(stored_type);
    std::string all(count * length, '\0');
    if (!read(stored_type, all.data())) return {};
    const bool spaces = H5Tget_strpad(stored_type) == H5T_STR_SPACEPAD;
    for (size_t i = 0; i < count; ++i) {
      std::string text = all.substr(i * length, length);
      text.resize(std::strlen(text.c_str()));
      while (spaces && !text.empty() && text.back() == ' ') text.pop_back();
      texts.push_back(std::move(text));
    }
  }
  return texts;
}

}  // namespace lacuna::hdf5
