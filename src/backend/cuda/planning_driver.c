// What cuDNN asks of the driver when it compiles an engine: enough for a plan to be made where
// there is no driver. Handles mean nothing. The driver's other functions, none of which a plan
// needs, are in the file that CMake makes of the toolkit's list of them.

static int handle_of(void** handle) {
  static int any;
  *handle = &any;
  return 0;
}

int cuLibraryLoadData(void** library) { return handle_of(library); }
int cuLibraryGetKernel(void** kernel) { return handle_of(kernel); }
int cuLibraryGetModule(void** module) { return handle_of(module); }
int cuKernelGetFunction(void** function) { return handle_of(function); }
int cuModuleLoadData(void** module) { return handle_of(module); }
int cuModuleLoadDataEx(void** module) { return handle_of(module); }
int cuModuleGetFunction(void** function) { return handle_of(function); }
int cuLibraryGetGlobal(void** address, unsigned long* bytes) {
  if (bytes != 0) *bytes = 4;
  return address != 0 ? handle_of(address) : 0;
}

static int number_of(int* value) {
  *value = 0;
  return 0;
}

int cuKernelGetAttribute(int* value) { return number_of(value); }
int cuFuncGetAttribute(int* value) { return number_of(value); }

int cuLibraryUnload(void) { return 0; }
int cuKernelSetAttribute(void) { return 0; }
int cuFuncSetAttribute(void) { return 0; }
int cuModuleUnload(void) { return 0; }
