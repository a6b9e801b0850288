package inspector

import (
	"regexp"
	"strings"
)

// emoji finds, at the beginning of a text, an emoji that needs characters which cannot be seen:
// joiners (&) and the selector of the colourful form (~). These are the emoji that Unicode 17
// recommends for all fonts, but for pairs of people whose colours of skin (%) differ.
// Elsewhere such a character changes nothing on the page: two IDs would look the same.
var emoji = regexp.MustCompile("^(?:" + strings.NewReplacer("&", "\u200d", "~", "\ufe0f", "%", "[🏻-🏿]", "\n", "", "\t", "").Replace(`
	[👨👩🧑]%?&(?:[⚕⚖✈]~|[🌾🍳🍼🎓🎤🎨🏫🏭💻💼🔧🔬🚀🚒🦰-🦳]|[🦯🦼🦽](?:&➡~)?)|
	🧑%?&[🎄🩰]|
	[🏃🚶🧎]%?(?:&[♀♂]~)?&➡~|
	(?:[⛹🏋🏌🕵](?:~|%)|[🧞🧟]|[🏃🏄🏊👮-👱👳👷💁💂💆💇🙅-🙇🙋🙍🙎🚣🚴-🚶🤦🤵🤷-🤹🤼-🤾🦸🦹🧍-🧏🧔🧖-🧝]%?)&[♀♂]~|
	(?:👨&[👨👩]&|👩&👩&|[👨👩]&)(?:👦&👦|👧&[👦👧]|[👦👧])|
	🧑&(?:🧑&)?🧒(?:&🧒)?|
	[👨👩]&❤~&(?:💋&)?👨|👩&❤~&(?:💋&)?👩|[👨👩]%&❤~&(?:💋&)?👨%|👩%&❤~&(?:💋&)?👩%|
	🧑&🤝&🧑|🧑%&🤝&🧑%|
	❤~&[🔥🩹]|⛓~&💥|👁~&🗨~|🏳~&(?:🌈|⚧~)|🏴&☠~|🍄&🟫|🍋&🟩|🐈&⬛|🐦&[⬛🔥]|🐕&🦺|🐻&❄~|😮&💨|😵&💫|😶&🌫~|🙂&[↔↕]~|
	[#*0-9]~\x{20e3}|
	[©®‼⁉™ℹ↔-↙↩↪⌨⏏⏭-⏯⏱⏲⏸-⏺Ⓜ▪▫▶◀◻◼☀-☄☎☑☘☝☠☢☣☦☪☮☯☸-☺♀♂♟♠♣♥♦♨♻♾⚒⚔-⚗⚙⚛⚜⚠⚧⚰⚱⛈⛏⛑⛓⛩⛰⛱⛴⛷-⛹✂✈✉✌✍✏✒✔✖✝✡✳✴❄❇❣❤➡⤴⤵⬅-⬇〰〽㊗㊙
	🅰🅱🅾🅿🈂🈷🌡🌤-🌬🌶🍽🎖🎗🎙-🎛🎞🎟🏋-🏎🏔-🏟🏳🏵🏷🐿👁📽🕉🕊🕯🕰🕳-🕹🖇🖊-🖍🖐🖥🖨🖱🖲🖼🗂-🗄🗑-🗓🗜-🗞🗡🗣🗨🗯🗳🗺🛋🛍-🛏🛠-🛥🛩🛰🛳]~
`) + ")")

// longestEmoji is how many bytes one has at most.
const longestEmoji = len("👨🏻\u200d❤\ufe0f\u200d💋\u200d👨🏻")
