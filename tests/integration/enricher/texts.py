"""Texts that the enricher's tests read, written for them."""

LIGHTHOUSE = """The Keeper's Report

The lighthouse at Marrow Point was rebuilt in 1911 after a winter storm broke the lantern room. The new lighthouse
has a tower of granite and a lamp that turns once in ten seconds. Dr. Ellen Voss, who kept the lamp for thirty years,
wrote a diary of every ship that passed.

Her diary counts four thousand ships and eleven wrecks. Most wrecks happened in fog, when the lamp could not be seen
and the fog bell was not rung in time. The fog bell was therefore replaced by a horn driven by compressed air.

Visitors may climb the granite tower on Sundays. The diary is kept in the county archive, where a copy can be read."""

LEUCHTTURM = """Der Leuchtturm von Hohenwacht wurde am 3. Oktober 1911 nach einem schweren Sturm neu gebaut. Der
Leuchtturm hat einen Turm aus Granit und eine Lampe, die sich alle zehn Sekunden dreht. Frau Dr. Voss führte dreißig
Jahre lang ein Tagebuch über alle Schiffe. Das Tagebuch zählt viertausend Schiffe und elf Wracks. Die meisten Wracks
geschahen im Nebel, weil die Lampe nicht zu sehen war."""
