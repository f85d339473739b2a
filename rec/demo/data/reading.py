"""What the demo's articles and films say. Data alone; `rec.demo.content` fills in the slots.

Slots: {kind} {a_kind} {A_kind} {plural} {Plural} {category} {kinds} {low} {middle} {high}, and {materials} {sizes}
where a family
has such. A paragraph with a slot that its family cannot fill is not taken.
"""

from __future__ import annotations

from typing import NamedTuple


class Piece(NamedTuple):
    """One kind of article or film: `parts` name the themes below, in order; of each one paragraph is drawn."""

    title: str
    about: str
    opening: str
    parts: tuple[str, ...]
    closing: str


READ = (
    Piece(
        "How to choose {a_kind}",
        "What matters in {a_kind}, what does not, and what is worth paying more for.",
        "Most people stand in front of the {plural} for ten minutes and then take the one in the middle. That is not a "
        "bad rule, but you can do better with three questions: what for, how often, and where will it be kept?",
        ("kinds", "material", "size", "money"),
        "If you still cannot decide, take the plainer one. Nobody has ever brought {a_kind} back because it did too "
        "little that they had never wanted.",
    ),
    Piece(
        "{Plural} compared: what the price buys",
        "Cheap, middling and dear {plural}, and where each is enough.",
        "We put the cheapest, a middling and the dearest of our {plural} side by side for a fortnight, and let "
        "the same "
        "four people use all three without telling them which was which.",
        ("money", "material", "wear", "trying"),
        "Three of the four would have paid for the middling one. The fourth is a professional, and would have paid for "
        "the dearest, and told us why: it is the only one that can be repaired.",
    ),
    Piece(
        "Five questions about {plural}, answered",
        "What people ask before they buy {plural}, answered at the counter.",
        "These are the questions that we hear most at the {category} counter, and the answers that we give when nobody "
        "is waiting behind you.",
        ("kinds", "size", "care", "wear"),
        "And the fifth question, whether to wait for the sale: if you need {a_kind} this month, no. If you do not, you "
        "know the answer yourself.",
    ),
    Piece(
        "Before you buy {a_kind}, read this",
        "Three things that {a_kind} should do for you, and two that it cannot.",
        "Anything looks good on a shelf. Imagine {a_kind} on a wet Tuesday in November instead, when you are "
        "tired: will you be glad that you have it? Everything else comes after that.",
        ("trying", "money", "care"),
        "What {a_kind} cannot do is make you somebody who uses it. Put it where you will see it, and give it "
        "three weeks.",
    ),
    Piece(
        "{Plural}: the words explained",
        "What the small print on {plural} means, word by word.",
        "The labels on {plural} are written for people who know already. Here is what the words come to, without the "
        "ones that mean nothing at all (“premium”, “advanced”, “inspired”).",
        ("kinds", "material", "size"),
        "A word that is not explained on the label and not in this list can be skipped without a loss. Ask us about it "
        "if you like: we collect them.",
    ),
    Piece(
        "Living with {a_kind}",
        "A year of daily use of {a_kind}: what held, what wore out, what we would buy again.",
        "A year ago one of us took {a_kind} home and promised to use it every day, and to write down every time "
        "that it "
        "annoyed her. The list has eleven entries. Seven of them are from the first week.",
        ("wear", "care", "size"),
        "Would she buy it again? Yes, in another color. Of everything that we have tried from the {category} "
        "department, "
        "this one came closest to not being noticed, which is the highest praise that we have.",
    ),
)

WATCH = (
    Piece(
        "{Plural} in half a minute",
        "A short tour of {plural}: the kinds there are, and who each is for.",
        "{Plural}: what there is, and who each is for.",
        ("shot_kinds", "shot_price", "shot_try"),
        "That is all you need to know to choose one.",
    ),
    Piece(
        "On the bench: {a_kind}",
        "{A_kind} after a hard week on the bench: what held, and what did not.",
        "Seven days, one bench, and no mercy: {a_kind}.",
        ("shot_try", "shot_wear", "shot_price"),
        "It still works. We would take it home.",
    ),
    Piece(
        "Ask the {category} desk: {plural}",
        "Your questions about {plural}, answered on camera.",
        "You asked about {plural}. Here is what we say.",
        ("shot_price", "shot_kinds", "shot_wear"),
        "More questions? The {category} desk has a bell. Ring it.",
    ),
)

# What is read or used up has no seam to look at: of these departments and families other paragraphs are taken.
USED_UP = frozenset({"Books", "Beauty", "seeds", "coffee-beans"})
INSTEAD = {
    "wear": "second",
    "care": "keeping",
    "trying": "sample",
    "shot_wear": "shot_second",
    "shot_try": "shot_sample",
}

# theme → (heading, paragraphs to choose from)
THEMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "kinds": (
        "Which kind",
        (
            "There are more kinds than anybody needs: {kinds}. They differ less than their names do. Decide by the one "
            "thing that you will do with it most, and let it be merely good enough at everything else; what "
            "tries to be "
            "best at two things is seldom best at either.",
            "Ours come as {kinds}. If these words mean nothing to you, begin with the first and change later: we "
            "take it "
            "back, and half of those who know exactly what they want today started with what somebody gave them.",
        ),
    ),
    "material": (
        "What it is made of",
        (
            "You will find {materials}. The dearest is rarely the toughest: it is lighter, or nicer to hold, or "
            "it ages "
            "well. Take it in your hand before you decide, and turn it over. The side that nobody is meant to look at "
            "says most about how carefully the rest was made.",
            "Between {materials} the difference shows after a year and not in the shop. Ask which of them can be "
            "cleaned "
            "with what you have at home. Whatever needs a bottle of something special will not be cleaned.",
        ),
    ),
    "size": (
        "What size",
        (
            "We keep {sizes}. People who are unsure buy too large, and then leave it at home. Measure the place "
            "where it "
            "will be kept, write that down, and take the next size below it; there is nearly always room for less.",
            "From {sizes} the step that matters is the one in the middle. Below it you save space, above it you "
            "buy for "
            "days that come twice a year. For those two days a neighbor is cheaper.",
        ),
    ),
    "money": (
        "What to spend",
        (
            "Ours cost between {low} and {high} euros. Up to about {middle} each euro buys something that you notice. "
            "Above that you pay for weight, for looks and for the second ten years. Both can be right, but they "
            "are not "
            "the same purchase.",
            "Between {low} and {middle} euros the cheap ones are cheap for a reason: a part that wears out "
            "cannot be had "
            "by itself. Above {middle} you may expect spare parts, and an answer when you write. At {high} you may "
            "expect to be remembered.",
        ),
    ),
    "care": (
        "Looking after it",
        (
            "Dry it before you put it away, and do not put anything on top of it. That is nearly all. Twice a "
            "year, sit "
            "down with it for ten minutes and look at every place where two parts meet; what is found there in time "
            "costs nothing.",
            "The instructions ask for more than anybody does. Two things are worth the trouble: keep it out of the sun "
            "when you do not use it, and mend the first small thing at once, while it is small.",
        ),
    ),
    "wear": (
        "What wears out first",
        (
            "Never the part that you look at in the shop. It is the seam, the hinge, the edge, the one moving "
            "piece. Ask "
            "whether that can be replaced, and what it costs. If the person across the counter has to look it up, that "
            "is an answer too.",
            "After a year of use, of the {plural} that we sold, most of those that came back had one fault in "
            "common, and "
            "it could be felt on the first day as a bit of play. Shake it a little. Nothing should answer.",
        ),
    ),
    "trying": (
        "Try it like this",
        (
            "Take it in the hand that you do not write with. Put it down, pick it up again, and do that ten "
            "times. What "
            "is awkward now will be awkward every day; what is merely unfamiliar is gone by the tenth time.",
            "Use it in the shop as you will at home: with your coat on, with one hand, in a hurry. We do not "
            "mind. Two of "
            "the chairs are there for exactly this, and so is the bad lamp.",
        ),
    ),
    "second": (
        "The second time",
        (
            "The first time tells you little: everything new is interesting. Wait for the second. What you take "
            "up again "
            "without being told to is right for you, whatever the label says and whoever recommends it.",
            "Of the {plural} that we sold last year we asked after those that were bought twice. They were not "
            "the ones in "
            "the window. They were plain, cheap, and recommended by somebody’s aunt.",
        ),
    ),
    "keeping": (
        "Where to keep it",
        (
            "Somewhere dry, out of the sun, and where you pass by. The last of these is the one that people "
            "forget: what "
            "is kept for best is found years later, and thrown away.",
            "Not in the bathroom and not above the stove. Warmth and damp spoil more {plural} than time does. "
            "Write the "
            "month on the back of it, in pencil.",
        ),
    ),
    "sample": (
        "Try a little first",
        (
            "Ask for a page, a pinch, a drop: whatever is the smallest part of it that still is the thing. We "
            "keep some open "
            "for exactly this, and nobody will ask whether you mean to buy.",
            "Take the smallest there is and go home with it. If it is gone by Sunday, come back for a larger "
            "one; if it is "
            "not, you have lost very little and learned something.",
        ),
    ),
    "shot_second": (
        "The second time",
        ("The first time tells you little. Wait for the second.", "Bought twice: that is the test."),
    ),
    "shot_sample": (
        "A little first",
        ("A page, a pinch, a drop. Try the smallest part.", "Take the smallest. Is it gone by Sunday?"),
    ),
    "shot_kinds": (
        "The kinds",
        (
            "Same purpose, different people: {kinds}.",
            "They come as {kinds}. The first is where most people begin.",
        ),
    ),
    "shot_price": (
        "The price",
        (
            "From {low} to {high} euros. Around {middle} is where most of them are good.",
            "{low} euros buys one. {middle} buys one that can be mended.",
        ),
    ),
    "shot_try": (
        "The test",
        (
            "One hand, in a hurry, ten times. This is how we test.",
            "Pick it up, put it down. Awkward now is awkward every day.",
        ),
    ),
    "shot_wear": (
        "What gives way",
        (
            "What goes first is where two parts meet. Look there.",
            "After a year: the seam, the hinge, the edge. Ask for the part.",
        ),
    ),
}
