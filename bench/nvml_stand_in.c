/* Answers as a driver with one idle GPU would, at once: for programs that refuse to run without one. */
#include <stdio.h>
#include <string.h>

#define OK 0
#define INVALID 2
#define NOT_SUPPORTED 3
#define MIB (1ULL << 20)

typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2_t;
typedef struct { unsigned gpu, memory; } utilization_t;

static int handle;
static int say(char *to, unsigned length, const char *what) {
    snprintf(to, length, "%s", what);
    return OK;
}

int nvmlInit_v2(void) { return OK; }
int nvmlInitWithFlags(unsigned flags) { (void)flags; return OK; }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) { (void)code; return "not supported by the stand-in"; }
int nvmlSystemGetDriverVersion(char *to, unsigned length) { return say(to, length, "580.00"); }
int nvmlSystemGetNVMLVersion(char *to, unsigned length) { return say(to, length, "13.580.00"); }
int nvmlSystemGetCudaDriverVersion(int *to) { *to = 13000; return OK; }
int nvmlSystemGetCudaDriverVersion_v2(int *to) { *to = 13000; return OK; }
int nvmlDeviceGetCount_v2(unsigned *to) { *to = 1; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **to) {
    *to = &handle;
    return index == 0 ? OK : INVALID;
}
int nvmlDeviceGetIndex(void *of, unsigned *to) { (void)of; *to = 0; return OK; }
int nvmlDeviceGetName(void *of, char *to, unsigned length) {
    (void)of;
    return say(to, length, "stand-in");
}
int nvmlDeviceGetUUID(void *of, char *to, unsigned length) {
    (void)of;
    return say(to, length, "GPU-00000000-0000-0000-0000-000000000000");
}
int nvmlDeviceGetMemoryInfo(void *of, memory_t *to) {
    (void)of;
    *to = (memory_t){24576 * MIB, 20480 * MIB, 4096 * MIB};
    return OK;
}
int nvmlDeviceGetMemoryInfo_v2(void *of, memory_v2_t *to) {
    (void)of;
    to->total = 24576 * MIB, to->reserved = 256 * MIB, to->free = 20224 * MIB, to->used = 4096 * MIB;
    return OK;
}
int nvmlDeviceGetUtilizationRates(void *of, utilization_t *to) {
    (void)of;
    *to = (utilization_t){3, 1};
    return OK;
}
int nvmlDeviceGetTemperature(void *of, unsigned kind, unsigned *to) {
    (void)of, (void)kind;
    *to = 41;
    return OK;
}
int nvmlDeviceGetPowerUsage(void *of, unsigned *to) { (void)of; *to = 30000; return OK; }
int nvmlDeviceGetEnforcedPowerLimit(void *of, unsigned *to) { (void)of; *to = 300000; return OK; }
int nvmlDeviceGetClockInfo(void *of, unsigned kind, unsigned *to) {
    (void)of, (void)kind;
    *to = 1200;
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *of, unsigned *count, void *to) {
    (void)of, (void)to;
    *count = 0;
    return OK;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *of, unsigned *count, void *to) {
    return nvmlDeviceGetComputeRunningProcesses_v3(of, count, to);
}

#define UNSUPPORTED(name) int name(void) { return NOT_SUPPORTED; }
UNSUPPORTED(nvmlDeviceGetPciInfo_v3)
UNSUPPORTED(nvmlDeviceGetEncoderUtilization)
UNSUPPORTED(nvmlDeviceGetDecoderUtilization)
UNSUPPORTED(nvmlDeviceGetFanSpeed)
UNSUPPORTED(nvmlDeviceGetPowerManagementLimit)
UNSUPPORTED(nvmlDeviceGetDisplayActive)
UNSUPPORTED(nvmlDeviceGetDriverModel)
UNSUPPORTED(nvmlDeviceGetPersistenceMode)
UNSUPPORTED(nvmlDeviceGetPerformanceState)
UNSUPPORTED(nvmlDeviceGetTotalEccErrors)
UNSUPPORTED(nvmlDeviceGetComputeMode)
UNSUPPORTED(nvmlDeviceGetMigMode)
