#include "backend/boards.h"

#include <algorithm>
#include <array>

namespace lacuna {

namespace {

constexpr std::array all = {
    Board{"a100", "NVIDIA A100-SXM4-80GB", 85.0,
          R"({"deviceName":"NVIDIA A100-SXM4-80GB","cudaDeviceId":0,"deviceVer":800,)"
          R"("multiProcessorCount":108,"driverVer":13000,"maxSharedMemoryPerBlockOptin":166912,)"
          R"("totalGlobalMem":85031714816,"maxGridSize":[2147483647,65535,65535],)"
          R"("maxBlockSize":[1024,1024,64],"regsPerBlock":65536,"warpSize":32,)"
          R"("maxSharedMemoryPerBlock":49152,"reservedSharedMemoryPerBlock":1024,)"
          R"("maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,)"
          R"("maxThreadsPerSM":2048,"pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,)"
          R"("smClockRateKHz":1410000,"memClockRateKHz":1593000,"l2CacheSize":41943040})"},
    Board{"h100", "NVIDIA H100 80GB HBM3", 85.0,
          R"({"deviceName":"NVIDIA H100 80GB HBM3","cudaDeviceId":0,"deviceVer":900,)"
          R"("multiProcessorCount":132,"driverVer":13000,"maxSharedMemoryPerBlockOptin":232448,)"
          R"("totalGlobalMem":85029158912,"maxGridSize":[2147483647,65535,65535],)"
          R"("maxBlockSize":[1024,1024,64],"regsPerBlock":65536,"warpSize":32,)"
          R"("maxSharedMemoryPerBlock":49152,"reservedSharedMemoryPerBlock":1024,)"
          R"("maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,)"
          R"("maxThreadsPerSM":2048,"pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,)"
          R"("smClockRateKHz":1980000,"memClockRateKHz":2619000,"l2CacheSize":52428800})"},
    Board{"b200", "NVIDIA B200", 191.5,
          R"({"deviceName":"NVIDIA B200","cudaDeviceId":0,"deviceVer":1000,)"
          R"("multiProcessorCount":148,"driverVer":13000,"maxSharedMemoryPerBlockOptin":232448,)"
          R"("totalGlobalMem":191510249472,"maxGridSize":[2147483647,65535,65535],)"
          R"("maxBlockSize":[1024,1024,64],"regsPerBlock":65536,"warpSize":32,)"
          R"("maxSharedMemoryPerBlock":49152,"reservedSharedMemoryPerBlock":1024,)"
          R"("maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,)"
          R"("maxThreadsPerSM":2048,"pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,)"
          R"("smClockRateKHz":1965000,"memClockRateKHz":3996000,"l2CacheSize":132644864})"},
};

}  // namespace

std::span<const Board> boards() { return all; }

const Board* find_board(std::string_view name) {
  const auto at =
      std::find_if(all.begin(), all.end(), [&](const Board& board) { return board.name == name; });
  return at == all.end() ? nullptr : &*at;
}

}  // namespace lacuna
