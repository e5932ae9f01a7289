"""GPU and CPU slots of this machine: file locks shared by every ai-sci process on it.

The kernel frees them when their holder dies.
"""

from ai_sci.experiment.slots.slots import Held, Slot, Turns, cpu_slots, gpu_slots, hold_gpus, machine_gpus
