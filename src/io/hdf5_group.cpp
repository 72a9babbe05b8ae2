#include "io/hdf5.h"

#include "io/hdf5_private.h"
#include "io/hdf5_spaces.h"
#include "io/hdf5_tables.h"
#include "io/hdf5_texts.h"

namespace lacuna::hdf5 {

namespace {

herr_t collect_entry(hid_t group, const char* name, const H5L_info_t*, void* data) {
  const hid_t object = H5Oopen(group, name, H5P_DEFAULT);
  if (object < 0) return 0;  // a link that leads nowhere
  const H5I_type_t type = H5Iget_type(object);
  H5Oclose(object);
  const Entry::Kind kind = type == H5I_GROUP     ? Entry::Kind::group
                           : type == H5I_DATASET ? Entry::Kind::dataset
                                                 : Entry::Kind::other;
  static_cast<std::vector<Entry>*>(data)->push_back({name, kind});
  return 0;
}

std::vector<Entry> entries_of(hid_t group) {
  std::vector<Entry> entries;
  hsize_t position = 0;
  H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &position, collect_entry, &entries);
  return entries;
}

void collect_datasets(hid_t group, const std::string& prefix, int depth, size_t limit,
                      std::vector<std::string>& found) {
  for (const Entry& entry : entries_of(group)) {
    if (found.size() >= limit) return;
    const std::string path = prefix + "/" + entry.name;
    if (entry.kind == Entry::Kind::dataset) found.push_back(path);
    if (entry.kind == Entry::Kind::group && depth < 32) {  // hard links may form a circle
      const Handle below = own<H5Gclose>(H5Gopen2(group, entry.name.c_str(), H5P_DEFAULT));
      if (below) collect_datasets(below.id(), path, depth + 1, limit, found);
    }
  }
}

Handle link_properties() {
  Handle plist = own<H5Pclose>(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(plist.id(), 1);
  return plist;
}

Handle creation_properties(const Storage& storage) {
  Handle plist = own<H5Pclose>(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_obj_track_times(plist.id(), false);  // equal contents give equal files
  if (storage.chunk.rank() > 0) {
    H5Pset_chunk(plist.id(), storage.chunk.rank(), sizes_of(storage.chunk).data());
    if (storage.shuffle) H5Pset_shuffle(plist.id());
    if (storage.deflate > 0) H5Pset_deflate(plist.id(), static_cast<unsigned>(storage.deflate));
    if (storage.fletcher32) H5Pset_fletcher32(plist.id());
  } else if (storage.allocate_early) {
    H5Pset_layout(plist.id(), H5D_CONTIGUOUS);
    H5Pset_alloc_time(plist.id(), H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(plist.id(), H5D_FILL_TIME_NEVER);
  }
  return plist;
}

}  // namespace

std::string Group::absolute(const std::string& path) const {
  if (!path.empty() && path[0] == '/') return path;
  return path_ == "/" ? "/" + path : path_ + "/" + path;
}

std::vector<Entry> Group::entries() const {
  const Lock lock;
  return entries_of(id());
}

std::vector<std::string> Group::datasets(size_t limit) const {
  const Lock lock;
  std::vector<std::string> found;
  collect_datasets(id(), path_ == "/" ? "" : path_, 0, limit, found);
  return found;
}

bool Group::has(const std::string& path) const {
  const Lock lock;
  const Handle object = own<H5Oclose>(H5Oopen(id(), absolute(path).c_str(), H5P_DEFAULT));
  return static_cast<bool>(object);
}

Group Group::group(const std::string& path) const {
  const Lock lock;
  const std::string full = absolute(path);
  Handle group = own<H5Gclose>(H5Gopen2(id(), full.c_str(), H5P_DEFAULT));
  if (!group) {
    bad_input("there is no group ", full, " in ", file_, "; it holds ", contents_text(*this));
  }
  return Group(std::move(group), file_, full);
}

Dataset Group::dataset(const std::string& path, int64_t chunk_cache) const {
  const Lock lock;
  const std::string full = absolute(path);
  const Handle access = own<H5Pclose>(H5Pcreate(H5P_DATASET_ACCESS));
  if (chunk_cache > 0) {
    constexpr size_t slots = 12421;  // a prime; about 100 times the chunks that are usually held
    H5Pset_chunk_cache(access.id(), slots, static_cast<size_t>(chunk_cache),
                       H5D_CHUNK_CACHE_W0_DEFAULT);
  }
  Handle dataset = own<H5Dclose>(H5Dopen2(id(), full.c_str(), access.id()));
  if (!dataset) {
    if (std::optional<Dataset> column = column_of_table(full)) return std::move(*column);
    const std::string near = nearest(full, datasets());
    bad_input("there is no dataset ", full, " in ", file_,
              near.empty() ? "" : concat("; did you mean ", near, "?"), "; the file holds ",
              contents_text(*this));
  }
  return Dataset(std::move(dataset), file_, full);
}

// Of the path of a table and behind it the name of a column; none where it is no such path.
std::optional<Dataset> Group::column_of_table(const std::string& full) const {
  const size_t slash = full.rfind('/');
  if (slash == 0 || slash + 1 >= full.size()) return std::nullopt;
  const std::string column = full.substr(slash + 1);
  Handle table = own<H5Dclose>(H5Dopen2(id(), full.substr(0, slash).c_str(), H5P_DEFAULT));
  if (!table || !has_column(table.id(), column)) return std::nullopt;
  return Dataset(std::move(table), file_, full, column);
}

Group Group::create_group(const std::string& path) {
  const Lock lock;
  const std::string full = absolute(path);
  Handle group = own<H5Gclose>(
      H5Gcreate2(id(), full.c_str(), link_properties().id(), H5P_DEFAULT, H5P_DEFAULT));
  if (!group) cannot_write(file_, full);
  return Group(std::move(group), file_, full);
}

Dataset Group::create_dataset(const std::string& path, DType dtype, const Shape& shape,
                              const Storage& storage) {
  const Lock lock;
  const std::string full = absolute(path);
  LACUNA_CHECK(!storage.growing || storage.chunk.rank() > 0, full, ": growing needs chunks");
  const Handle plist = creation_properties(storage);
  const Handle space = new_space(shape, storage.growing);
  Handle dataset = own<H5Dclose>(H5Dcreate2(id(), full.c_str(), file_type(dtype).id(), space.id(),
                                            link_properties().id(), plist.id(), H5P_DEFAULT));
  if (!dataset) cannot_write(file_, full);
  return Dataset(std::move(dataset), file_, full);
}

Dataset Group::create_like(const std::string& path, const Dataset& model, const Shape& shape) {
  const Lock lock;
  const std::string full = absolute(path);
  const Handle type = model.element_type();
  const Handle plist = creation_properties({});
  const Handle space = new_space(shape);
  Handle dataset = own<H5Dclose>(H5Dcreate2(id(), full.c_str(), type.id(), space.id(),
                                            link_properties().id(), plist.id(), H5P_DEFAULT));
  if (!dataset) cannot_copy(model, last_failure().text);
  return Dataset(std::move(dataset), file_, full);
}

void Group::create_texts(const std::string& path, std::span<const std::string> texts) {
  const Lock lock;
  const std::string full = absolute(path);
  const Handle type = text_type();
  const Handle plist = creation_properties({});
  const Handle space = new_space({static_cast<int64_t>(texts.size())});
  const Handle dataset = own<H5Dclose>(H5Dcreate2(id(), full.c_str(), type.id(), space.id(),
                                                  link_properties().id(), plist.id(), H5P_DEFAULT));
  if (!dataset) cannot_write(file_, full);
  std::vector<const char*> pointers;
  for (const std::string& text : texts) pointers.push_back(text.c_str());
  if (pointers.empty()) return;
  check_write(H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()),
              file_, full);
}

void Group::link_external(const std::string& path, const std::string& file,
                          const std::string& target) {
  const Lock lock;
  const std::string full = absolute(path);
  check_write(H5Lcreate_external(file.c_str(), target.c_str(), id(), full.c_str(),
                                 link_properties().id(), H5P_DEFAULT),
              file_, full);
}

std::string contents_text(const Group& group, size_t limit) {
  const std::vector<std::string> paths = group.datasets(limit + 1);
  std::string all;
  for (size_t i = 0; i < paths.size() && i < limit; ++i) {
    const Dataset dataset = group.dataset(paths[i]);
    all += concat(i > 0 ? ", " : "", paths[i], " ", dataset.shape(), " ", dataset.type_text());
  }
  if (paths.empty()) return "no dataset";
  return paths.size() > limit ? all + ", and more" : all;
}

}  // namespace lacuna::hdf5
