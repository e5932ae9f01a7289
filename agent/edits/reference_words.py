"""The words with which models refer to code that they leave out.

Found by trying them on recorded edits and on commits: `tests/agent/edits/test_stand_ins.py` says how often they miss
and how often they are wrong.
"""

from __future__ import annotations

import re

DOTS = r"(?:\.{3,}|…+|‥+|․{2,}|⋯|⋮|︙|·{3,}|\. \. \.)"
_PART = (
    r"(?:codes?|implementations?|functions?|methods?|class(?:es)?|body|bodies|logic|loops?|lines?|imports?|blocks?|"
    r"sections?|parts?|file|script|program|module|contents?|definitions?|set-?up|initiali[sz]ation|statements?|training|"
    r"evaluation|steps?|arg(?:ument)?s?|param(?:eter)?s?|fields?|attributes?|properties|cases|branch(?:es)?|handlers?|"
    r"helpers?|constants?|config(?:uration)?|settings|tests?|routines?|procedure|calls?|stuff|things|snippet|source|"
    r"pipeline|plots?|plotting|logging|text|notes|paragraphs?|rows?|entries|items)"
)
_BETWEEN = r"(?:(?!(?:for|in|on|to|by|from|after|before|than|each|is|are|was|were|with|at)\b)[\w'`,/&-]+ ){0,3}?[`']?"
KEPT = re.compile(
    r"(?<!\w)(?:un-?(?:changed|modified|touched|altered)|intact|verbatim|same|identical|equivalent|ditto|idem|ibid|"
    r"exactly (?:as|like)|as usual|(?:not )?repeated|(?:cop(?:y|ied)|unchanged) from run|preserved|retained|"
    r"collapsed|folded|trimmed|shortened|you (?:already )?(?:have|know) (?:this|it|the rest)|"
    r"lines? \d+(?:\W+(?:to )?\d+)?|"
    r"as[- ](?:is|(?:it|they|you) (?:is|are|was|were|had \w+)(?: (?:before|above|now|in .*|on .*))?(?=\W*$)|"
    r"(?:in|on) (?:the )?(?:\w+ )?(?:original|baseline|file|above|before|previous|version).*|"
    r"before|above|earlier|previously|given|written|provided|shown)|as in \w+\.\w+|"
    r"(?:like|from) (?:before|above|(?:the )?(?:original|baseline))|"
    r"(?:no|without)(?: any| other| further| more)? (?:changes?|modifications?|edits?)|"
    r"(?:not|nothing|never|\w+n't)(?: be(?:en)?| else)?(?: to)? (?:change[sd]?|modif(?:y|ied)|altered|touch(?:ed)?)|"
    r"omit(?:ted)?|elided|"
    r"snip(?:ped)?|skipped|truncated|abbreviated|abridged|left out|not shown|hidden|"
    r"for (?:brevity|clarity|simplicity|space)|continues|"
    r"go(?:es)? here|belongs? here|comes? here|follows(?=\W*$)|stays?|remains?|(?:is|are|be) kept|kept|"
    r"(?:see|cf\.?|refer to) (?:above|(?:the )?original|(?:the )?baseline|before|(?:run_0|experiment\.py)\S*)|"
    r"etc|et cetera|usw|and so (?:on|forth))(?!\w)",
    re.IGNORECASE,
)
LEFT = re.compile(
    rf"\b(?:(?:rest|remainder)(?! of)|(?:rest|remainder) of {_BETWEEN}{_PART}|everything (?:else|below|above|after|"
    r"before)|all (?:else|other|the (?:other|rest))|(?:remaining|existing|original|previous|prior|earlier|other|"
    rf"old|your|additional) {_BETWEEN}{_PART})(?!\w)",
    re.IGNORECASE,
)
ASKED_FOR = re.compile(
    rf"\byour {_PART}\b|\b{_PART} (?:(?:would |will |should |to |can )?(?:go(?:es)?|be|come|belong)s? )?here\b",
    re.IGNORECASE,
)
REFERRING = re.compile(
    r"\b(?:rest|remainder|remain\w*|else|existing|original|previous(?:ly)?|prior|earlier|before|above|others?|same|todo|"
    r"unchanged|insert|baseline|copy|keep|leave|here|usual)\b",
    re.IGNORECASE,
)
# Words that say nothing about anything but the code itself.
FILLER = re.compile(
    rf"(?:{_PART}|rest|remainder|remaining|everything|all|else|nothing|existing|original|previous|prior|earlier|others?|"
    r"current|old|before|above|below|baseline|version|yours?|our|my|this|that|these|the|a|an|of|in|for|to|is|are|was|were|"
    r"be|and|or|with|as|it|its|they|from|on|at|up|until|end|needed|required|necessary|made|exactly|just|simply|still|"
    r"completely|entirely|full|whole|entire|main|keeps?|leaves?|left|insert|include|copy|paste|add|put|use|retain|preserve|"
    r"todo|fixme|note|please|modif\w+|how|does|do|has|been|not|here|would|will|should|can|must|more|actual|real|you|have|had|"
    r"changes?|implement\w*|after|no|other|further|goe?s?|"
    r"exact|shown|provided|same|see|refer|then|followed|by|comes|from|run|already|happens|usual|fill|train|some|(?:end)?region|retains)",
    re.IGNORECASE,
)
# A comment with such a word gives a reason, and is more than a name for code.
REASON = re.compile(
    r"\b(?:already|because|since|avoid|handled|unused|need(?:ed|s)?|not?|\w+n't|without|never|skip\w*|by|to|if|when|optional)\b",
    re.IGNORECASE,
)
# Says why code goes, or is itself code that was made a comment.
EXPLAINED = re.compile(
    r"\b(?:remov\w+|delet\w+|no longer|moved?|replac\w+|now|instead|drop(?:s|ped)?|disabled?|commented)\b|[=;{}]|\w\(",
    re.IGNORECASE,
)
# The same in other languages: what is left, existing, unchanged, omitted, as before.
ELSEWHERE = re.compile(
    r"\b(?:restliche\w*|übrige\w*|unverändert\w*|bestehende\w*|bisherige\w*|weggelassen|ausgelassen|"
    r"(?:wie|so) (?:bisher|zuvor|vorher|oben)|bleib(?:t|en)|der rest|reste (?:du|de|des|inchang\w*)|suite d[ue]|le "
    r"reste|inchangée?s?|identiques?|existante?s?|sans (?:changements?|modifications?)|comme (?:avant|"
    r"précédemment|ci-dessus)|omise?s?|igual|el resto|resto d\w+|sin (?:cambios|modificar|modificaciones)|"
    r"existentes?|como antes|se mantiene\w*|permanece\w*|omitid\w+|o restante|restantes?|inalterad\w*|sem "
    r"(?:alteraç\w+|mudanças)|mesm[oa]|il resto|invariat\w*|esistent\w*|rimanent\w*|come prima|senza modifiche|"
    r"omess\w*|ongewijzigd\w*|bestaande|overige|weggelaten|zoals (?:eerder|voorheen)|resten|oförändra\w*|"
    r"uændret|uendret|reszta|bez zmian|pozostał\w*|istniejąc\w*|zbytek|beze změn\w*|geri kalan\w*|"
    r"değişme\w+|mevcut|aynı|остальн\w*|остаток|без изменений|неизмен\w*|не меня\w*|существующ\w*|"
    r"прежн\w*|как (?:раньше|прежде|было)|пропущен\w*|решта|без змін|phần còn lại|giữ nguyên|không "
    r"(?:thay )?đổi|sisanya?|tidak berubah|loput|ennallaan|változatlan\w*|neschimbat\w*|αμετάβλητ\w*|"
    r"υπόλοιπ\w*)\b|"
    r"其余|其餘|后续|同前|略|剩余|剩餘|其他|其它|余下|不变|不變|未变|未改|保持|保留|省略|原有|原来|现有|同上|照旧|如前|"
    r"以下|残り|変更なし|そのまま|既存|同じ|同様|以前|나머지|변경 ?없|그대로|동일|생략|기존|이전과|بقية|"
    r"باقي|دون تغيير|كما هو|शेष|बाकी|अपरिवर्तित|ללא שינוי|שאר",
    re.IGNORECASE,
)
