"""Ways to leave code out, written for these tests, and comments that only sound like it.

Each entry stands as the last lines of a function body, with the body's indentation, where the loop of `LOOP` was.
"""

from __future__ import annotations

ENGLISH = """\
# (rest of the loop unchanged)
# ... rest of the code remains the same ...
# rest of the function unchanged
# Rest of the training loop stays as it is.
# The remainder of this function is identical to the original
# remaining code unchanged
# remaining training steps as before
# ... existing code ...
# existing code
# ...existing code...
# [existing training loop]
# <existing code here>
# {existing code}
# -- existing code --
# === unchanged below ===
# unchanged
# Unchanged from the baseline
# same as before
# Same as above.
# (same loop as before)
# same training loop as in the original
# training loop as in the baseline
# as before
# as in the original file
# code as in experiment.py
# identical
# no changes here
# No further changes below this line
# nothing else changes
# everything else stays the same
# everything below is unchanged
# All other code is kept as is
# keep the rest of the code
# keep existing loop
# Keep the existing implementation here
# Leave the rest as is
# omitted for brevity
# (omitted)
# [code omitted]
# loop omitted for clarity
# snip
# --- snip ---
# [...snip...]
# etc.
# and so on
# ... and so on ...
# (continues as before)
# code continues unchanged
# previous code goes here
# Previous implementation
# original loop goes here
# your code here
# your training loop here
# training loop goes here
# TODO: keep the original loop
# TODO: rest of the code
# insert the original code here
# copy the training loop from the original
# see above
# see original
# lines 4 to 9 unchanged
# training loop
# Training loop ...
# ... training loop ...
# (training loop)
# the loop
# Optimisation steps
# other steps
# other code remains untouched
# Everything from here on is as in the last version
# not modified
# This part has not been changed
# The loop below stays the same
# ...
# …
# ....
# . . .
# [...]
# (...)
# <...>
#...
...
…
[...]
<...>
{...}
(...)
[rest of the loop unchanged]
<rest of code>
(remaining code unchanged)
{{ existing code }}
... rest of the code ...
…rest unchanged…
... (unchanged)
rest of the code unchanged
pass  # rest unchanged
pass  # ... existing code ...
...  # same as before
// ... existing code ...
// rest of the loop unchanged
// unchanged
//...
/* ... */
/* rest of the loop unchanged */
/* existing code */
<!-- ... -->
<!-- rest of the code unchanged -->
-- rest of the loop unchanged
-- ...
% ... rest of the code
% unchanged
; rest unchanged
{# existing code #}
(* rest of the loop as before *)
\"\"\"rest of the function unchanged\"\"\"
\"\"\"... existing code ...\"\"\"
'''same as before'''
"""

# What only the deletion of several lines makes plain.
VAGUE = """\
# code
# more code
# logic
# implementation
# existing
# (original)
# remaining
# keep
# leave
# as usual
# train as usual
# training happens here
# do training
# fill in the loop
# here comes the loop
# the loop goes in here
# followed by the original loop
# current implementation
# copied from run 1
# see run_0/experiment.py
# refer to the original code
# not repeated here
# unchanged, not repeated
# exact same
# exactly like in the baseline
# you already have this part
# lines 7-10
# ... (4 lines)
# trimmed
# (collapsed)
# ditto
# do not modify below
# ..
..
# ‥
# ✂
# ~~~
# 略
# 后续代码
# suite du code
#region existing
"""

OTHER_LANGUAGES = """\
# Rest des Codes unverändert
# der Rest bleibt gleich
# ... restlicher Code ...
# Trainingsschleife wie bisher
# (wie zuvor)
# reste du code inchangé
# ... le reste est identique ...
# boucle comme avant
# el resto del código sin cambios
# ... código existente ...
# igual que antes
# o restante do código permanece inalterado
# resto del codice invariato
# come prima
# rest van de code ongewijzigd
# reszta kodu bez zmian
# остальной код без изменений
# ... остальная часть цикла ...
# без изменений
# geri kalan kod aynı
# phần còn lại giữ nguyên
# loput koodista ennallaan
# 其余代码保持不变
# ... 其他代码 ...
# 同上
# 省略
# 残りのコードは変更なし
# 以下同じ
# 나머지 코드는 동일
# 기존 코드 유지
# باقي الكود دون تغيير
# बाकी कोड अपरिवर्तित
"""

VAGUE_STAND_INS = VAGUE.splitlines()
STAND_INS = [line for line in (ENGLISH + OTHER_LANGUAGES).splitlines() if line]

# Comments and code that honest edits put in place of code; each stands above new code or says why code goes.
HONEST = """\
# keep the rest of the budget for evaluation
# the rest of the budget is kept for evaluation
# use the same seed as before
# same data as the baseline, with other noise
# previous runs diverged with a larger step
# the original paper uses 0.5 here
# Same depth as before, twice the width
# existing checkpoints stay readable with this name
# the remaining steps use the smaller rate
# rest of the batch is padded with zeros
# warm up first, then keep the rate
# the loss is computed before the step
# everything is normalised to unit length
# the code below needs float64
# other seeds gave the same order
# as in Adam, but without the second moment
# a rate such as this one stays stable for longer
# skip the first batches, as their loss is noise
# original: 0.1
# unchanged weights are not decayed
# ... so the sum stays finite
# continue from the last weights
# todo: tune this
# --- training ---
# Training
# x[..., 0] has the position
# (0.1 in the baseline)
# (keep this below one)
# step size
# previous value
# current step
# other parameters
# truncated normal, as the layers are deep
# hidden state
# etc. stands for the other metrics
"""
HONEST_COMMENTS = [line for line in HONEST.splitlines() if line]
