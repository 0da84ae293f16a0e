"""Small round faces, drawn from the name: the same name, the same face."""

import hashlib

SALT = 19  # makes the three users at start look well apart
GROUNDS = ("#f6b9a8", "#9fd3c7", "#f3d27a", "#a9c4f5", "#d3b5ea", "#b9dd9b", "#f2a7c3", "#8fcbe6")
SKINS = ("#fbe0cf", "#f3cdb0", "#d9a27c", "#a9714b")
HAIRS = ("#2f2a2b", "#5b3a29", "#8c5a3c", "#3a3f5c", "#b5532d")
SHIRTS = ("#07c160", "#3d6fe0", "#e2574c", "#f2b134", "#7a5cc7")
CUTS = (
    '<path d="M27 46c-3-18 8-28 23-28s26 10 23 28c-4-9-9-13-14-14-9 4-22 4-26 2-3 3-5 7-6 12z"/>',
    '<path d="M26 70c-6-34 2-52 24-52s30 18 24 52c-5 1-8-2-8-8V42c-10 0-20-3-25-8-2 5-4 7-7 9v19c0 6-3 9-8 8z"/>',
    '<path d="M28 44c-1-16 9-25 22-25s23 9 22 25l-6-9H34z"/><circle cx="50" cy="16" r="8"/>',
    '<path d="M27 44c-2-10 2-19 8-21 3-6 13-8 18-5 8-2 17 3 18 9 4 4 4 11 2 17l-6-8c-9 1-25 0-33-2z"/>',
)
MOUTHS = ("M43 58q7 6 14 0", "M44 58q6 4 12 0", "M43 57q7 9 14 0z", "M45 59h10")


def draw(name: str) -> str:
    """A complete SVG of 100 by 100 units; it holds nothing of the name itself."""
    digest = hashlib.sha256(f"{SALT} {name}".encode()).digest()
    ground, skin, hair, shirt, cut, mouth = (
        choices[byte % len(choices)]
        for choices, byte in zip((GROUNDS, SKINS, HAIRS, SHIRTS, CUTS, MOUTHS), digest, strict=False)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'
        f'<rect width="100" height="100" fill="{ground}"/>'
        f'<path d="M18 104c0-20 14-28 32-28s32 8 32 28z" fill="{shirt}"/>'
        f'<path d="M42 64h16v14q-8 7-16 0z" fill="{skin}"/>'
        f'<ellipse cx="50" cy="46" rx="21" ry="24" fill="{skin}"/>'
        f'<g fill="{hair}">{cut}</g>'
        '<g fill="#2f2a2b"><circle cx="42" cy="47" r="2.4"/><circle cx="58" cy="47" r="2.4"/></g>'
        f'<path d="{mouth}" fill="none" stroke="#a8503f" stroke-width="2.4" stroke-linecap="round"/>'
        "</svg>"
    )
