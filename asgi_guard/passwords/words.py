"""Words: what people take for a password, the commonest first, as far as nobody needs a list of millions for it.

Must never hold what a person would not have chosen: the longer the list, the more good passphrases it refuses.
"""

from __future__ import annotations

from typing import Final

_COMMON: Final = """
password 123456 qwerty admin letmein welcome iloveyou monkey dragon master login princess sunshine football baseball
superman batman trustno1 shadow michael jordan hunter buster soccer harley ranger thomas robert daniel hockey killer
george charlie andrew michelle jessica pepper ginger joshua cheese amanda summer ashley nicole chelsea biteme matthew
access yankees dallas austin thunder taylor matrix william corvette hello martin heather secret merlin diamond hammer
silver anthony justin bailey guitar jackson purple samantha scooter phoenix richard samsung orange melissa jasmine
maverick computer internet killer freedom whatever starwars passw0rd pass passwort motdepasse contrasena senha parola
haslo wachtwoord losenord salasana heslo jelszo sifre kennwort geheim changeme change default guest root toor test
testing tester user username administrator manager oracle mysql postgres redis docker server system service support
security secure private public office company business money love lovely loveme lover baby babygirl babyboy angel
angels flower flowers butterfly chocolate cookie banana apple peanut pumpkin sweet sweety honey candy sugar friends
friend forever always family mother father mommy daddy brother sister august september october november december
january february march april june july monday tuesday wednesday thursday friday saturday sunday spring autumn winter
morning night today tomorrow happy lucky crazy cool awesome amazing beautiful perfect magic music dancer dance singer
pokemon pikachu naruto minecraft fortnite roblox nintendo playstation xbox gamer gaming warcraft diablo zelda mario
sonic spiderman ironman hulk joker venom avengers hogwarts potter gandalf frodo starfleet startrek spock vader yoda
skywalker jedi liverpool arsenal barcelona madrid juventus milan bayern chelsea manchester united celtic rangers
steelers cowboys eagles packers lakers bulls celtics redsox ferrari porsche mercedes bmw audi honda toyota yamaha
mustang camaro tiger lion eagle falcon wolf bear panther jaguar puma cobra viper shark dolphin horse pony puppy kitten
doggy kitty hamster rabbit turtle snoopy garfield mickey minnie donald disney tinkerbell winnie simba elvis
beatles metallica nirvana eminem slipknot queen rock metal blink182 linkin guitar drummer piano jesus christ god
heaven blessed faith hope grace church bible angel devil satan lucifer demon hell death dark darkness black white red
blue green yellow pink gold golden rainbow star stars moon sun sky ocean beach summer river mountain forest fire ice
water snow storm lightning hurricane tornado earth world planet galaxy universe space rocket alpha beta gamma delta
omega sigma zero one two three four five six seven eight nine ten hundred thousand million first last number alex
alexander alexandra alice amber andrea angela anna antonio barbara benjamin brandon brian bruno carlos carmen caroline
catherine charles charlotte chris christian christina christopher claire claudia daniela david debbie dennis diana
diego dominic donna douglas eduardo edward elena elizabeth emily emma eric erica ernesto eugene eva felix fernando
florian francesco francis frank gabriel gabriela gary gerald gloria gregory hannah harold harry heidi helen henry
isabella ivan jack jacob james jane jason javier jean jeffrey jennifer jeremy jessie joan john johnny jonathan jorge
jose joseph juan julia julian julie justine karen karin katherine kathleen keith kelly kenneth kevin kimberly kyle
laura lauren leon leonardo linda lisa louis lucas lucy luis luke marcel marco marcus margaret maria marie mario mark
markus marta mary matthias maurice max maxwell megan miguel mike mohamed mohammed monica nancy natalie natasha
nathan nicholas nick nicolas nina oliver olivia oscar pablo pamela patricia patrick paul paula pedro peter philip
rachel ralph ramon raymond rebecca ricardo roberto roger ronald rosa ruben russell ryan samuel sandra sara sarah scott
sebastian sergio sharon simon sofia sophie stefan stephanie stephen steven stuart susan sylvia teresa theresa tiffany
timothy tommy tyler vanessa veronica victor victoria vincent virginia walter wendy yvonne zachary abc abcd abcde
abcdef abc123 asdf asdfgh qwert qwertz azerty zxcvbn zaq1zaq1 qazwsx 1q2w3e4r google facebook twitter instagram
youtube amazon microsoft windows apple iphone android linux ubuntu github gitlab netflix spotify whatsapp gmail
hotmail yahoo email mail phone mobile number please open sesame enter start begin hackme hacker hacked ninja samurai
pirate wizard witch vampire zombie monster ghost dragonfly knight king queen prince soldier sniper captain commander
general president america american england london paris berlin germany france italy spain russia moscow china brazil
mexico canada australia india japan tokyo newyork california florida texas chicago boston houston denver vegas coffee
pizza burger chicken bacon beer whiskey vodka wine smoke weed ganja marley blaze sexy hottie fuckyou fuck fucker
bitch asshole shit pussy dick bigdick boobs naked porn badboy badass playboy stupid idiot loser nothing something
anything everything nobody somebody anyone remember forget forgot mypassword password1 welcome1 letmein1 admin123
temp temporary demo sample example student teacher school college university class doctor nurse police army navy
marine pilot driver cowboy biker runner swimmer tennis golf rugby cricket basketball volleyball hunting fishing
fktrcfylh fyfcnfcbz dbrnjhbz trfnthbyf rhbcnbyf cdtnkfyf ghbdtn ghbdtnbr dkflbvbh rfnthbyf dthjybrf rjirfrgbde gfhjkm
cjkysirj dkflbckfd dfktynbyf vfhufhbnf ghjcnjnfr rjycnfynby rhfcjnrf rhtdtlrj ghblehjr yfcntymrf fyutkbyf fgtkmcby
yjdsqgfhjkm yfnfif vfrcbv lbvflbvf vfhbyf k.,jdm klaster adgjmptw azsxdcfv zxasqw goodluck rightnow idontknow deeznutz
notebook ncc1701 thx1138 bond007 colorado brooklyn scotland pakistan einstein motorola logitech kawasaki
"""

WORDS: Final[dict[str, int]] = {word: rank for rank, word in enumerate(dict.fromkeys(_COMMON.split()), 1)}
"""Each word, and how many are commoner, with itself."""

ROWS: Final = (
    "`1234567890-=", "qwertyuiop[]\\", "asdfghjkl;'", "zxcvbnm,./",  # US
    "qwertzuiopü+", "asdfghjklöä#", "yxcvbnm,.-",  # German
    "йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю.",  # Russian
    "azertyuiop^$", "qsdfghjklmù*", "wxcvbn,;:!",  # French
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/", "qazwsxedcrfvtgbyhnujmikolp", "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0", "qawsedrftgyhujikolp", "1qay2wsx3edc4rfv5tgb6zhn7ujm",
)  # fmt: skip
"""What fingers walk along; a walk that leaves one begins another."""

SEQUENCES: Final = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "абвгдежзийклмнопрстуфхцчшщъыьэюя")
