"""Lists devices and processes as nvitop sees them, as JSON. The PIDs are the scenario's:
that they are not those of this machine is nothing to the driver's lists."""

import json

from nvitop import Device, libnvml


def processes(device):
    return sorted([pid, p.gpu_memory()] for pid, p in device.processes().items())


def main():
    answers = {}
    for device in Device.all():
        leaves = device.mig_devices() if device.is_mig_mode_enabled() else []
        answers[device.uuid()] = processes(device)
        answers |= {mig.uuid(): processes(mig) for mig in leaves}
    libnvml.nvmlShutdown()
    print(json.dumps(answers))


main()
