"""The slots of this machine: locks that every ai-sci on it respects.

The kernel frees them when nobody holds them.
"""

from ai_sci.experiment.slots.slots import Held, Slot, Turns, cpu_slots, gpu_slots, hold_gpus, machine_gpus
