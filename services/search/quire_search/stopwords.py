"""Function words of the larger languages: a query leaves them out as long as another word remains.

They stay in the index, so that a phrase may contain them. The lists are short on purpose: a word that can be a topic
("will", "state", "second") costs more when it is ignored than when it is searched.
"""

from typing import Final

_WORDS: Final = {
    "en": """a about after again against all also am an and any are as at be because been before being between both but
        by can could did do does doing done during each for from had has have having he her here hers him his how i if
        in into is it its me more most must my no nor not of off on once only or other our out over own s same shall she
        should so some such t than that the their them then there these they this those through to too under until up
        upon us very was we were what when where whether which while who whom whose why with within without would you
        your anyone ever""",
    "de": """aber als am an auch auf aus bei bin bis bist da damit dann das dass dein dem den denn der des die dies
        diese diesem diesen dieser dieses doch dort du durch ein eine einem einen einer eines er es euch für hat hatte
        ich ihm ihn ihr ihre im in ist ja jede jedem jeden jeder jedes kann kein keine können man mein mit muss nach
        nicht noch nun nur ob oder ohne sehr sein seine sich sie sind so über um und uns unser unter vom von vor war
        waren was weil welche welchem welchen welcher welches wenn wer werden wie wir wird wo wurde wurden
        zu zum zur""",
    "fr": """a au aux avec c ce ces cet cette comme comment d dans de des donc du elle elles en entre est et été être eu
        il ils j je l la le les leur leurs lui m ma mais me même mes mon n ne nos notre nous on ont ou où par pas plus
        pour qu quand que quel quelle quelles quels qui s sa sans se ses si son sont sous sur t ta te tes toi ton tu un
        une vos votre vous y à""",
    "es": """a al ante como con contra cual cuál cuales cuando cuándo de del desde donde dónde e el él ella ellas ellos
        en entre era es esa ese eso esta está estas este esto estos fue ha han hasta la las le les lo los más me mi mis
        muy no nos o para pero por porque que qué quien quién se ser si sí sin sobre son su sus también te tu tus un una
        unas uno unos y ya yo""",
    "it": """a ad ai al alla alle allo anche c che chi ci come con cosa cui d da dai dal dalla dalle dei del della delle
        di dove e è ed gli ha hanno i il in io l la le lei lo loro lui ma mi ne nei nel nella nelle no noi non o per
        perché più quale quali quando questa queste questi questo se si sono su sua sue sui sul sulla suo suoi tra tu un
        una uno vi voi""",
    "pt": """a ao aos as à às com como da das de del dele do dos e é ela elas ele eles em entre era essa esse esta está
        este eu foi há isso isto já la lhe mais mas me mesmo meu minha muito na nas não no nos nós o os ou para pela
        pelas pelo pelos por qual quais quando que quem se sem ser seu seus só sua suas também te um uma uns umas
        você""",
    "nl": """aan al als bij dan dat de der des deze die dit doch door een en er had heb hebben heeft hem het hij hoe hun
        ik in is ja je kan maar me men met mij mijn moet naar niet nog nu of om omdat onder ons ook op over te tot u uit
        van veel voor waar want waren was wat we wel werd wie wij worden wordt zal ze zich zij zijn zo zonder""",
    "sv": """att av de den det dig din du där efter ej eller en er ett för från ha han har hon hur här i inte jag kan
        man med men mig min mot nu när och om på sig sin ska som till under upp ut var vad vem vi vid är än""",
}

STOPWORDS: Final = {language: frozenset(words.split()) for language, words in _WORDS.items()}
"""Language (ISO 639-1) to its function words, in lower case. A language that is not here has none."""
