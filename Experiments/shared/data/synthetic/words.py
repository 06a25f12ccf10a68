"""English words of the generated corpora."""

__all__ = ["POSITIVE", "NEGATIVE", "TOPIC_WORDS", "ASPECTS", "JOBS", "RELATIVES", "THINGS", "SETTINGS", "NUMBERS",
           "SEASONS", "DAYS", "KINDS", "MEETS", "VERBS", "PAST", "NOUNS", "ADJECTIVES", "ROLES", "MONTHS", "PERIODS",
           "NOUNS_AND_VERBS"]

# Of reviews and news.
POSITIVE = ("good great wonderful brilliant superb moving charming delightful gripping funny clever beautiful "
            "excellent touching fresh perfect fascinating memorable splendid masterful").split()
NEGATIVE = ("bad boring dull awful terrible weak silly predictable tedious lifeless clumsy shallow poor annoying "
            "stale horrible pointless forgettable dreadful hollow").split()

TOPIC_WORDS = {
    "world": "minister troops ceasefire border embassy rebels parliament treaty refugees president election "
             "peacekeepers hostages".split(),
    "sports": "coach striker season league goal tournament medal championship innings playoff quarterback stadium "
              "sprinter".split(),
    "business": "shares profit merger investors earnings bank stocks takeover quarterly economy retailer dividend "
                "inflation".split(),
    "science/technology": "software researchers spacecraft internet telescope browser scientists satellite virus chip "
                          "gene laboratory server".split(),
}

ASPECTS = ("acting story ending music script plot dialogue photography editing cast direction opening camerawork "
           "humour pacing soundtrack costumes finale").split()
JOBS = ("doctor sailor teacher lawyer farmer singer driver painter soldier baker pilot waiter judge clerk nurse "
        "miner fisherman gardener tailor reporter librarian carpenter banker butcher").split()
RELATIVES = "brother sister mother father cousin uncle aunt neighbour daughter son friend grandmother".split()
THINGS = ("letter suitcase boat piano horse map ring photograph key lantern bicycle coat violin painting clock "
          "diary ticket mirror wagon parcel umbrella radio ladder telephone").split()
SETTINGS = ("village harbour city forest island station hotel castle desert river valley school theatre market "
            "hospital lighthouse farm railway bridge monastery").split()
NUMBERS = "two three four five six seven eight nine ten eleven twelve twenty thirty".split()
SEASONS = "spring summer autumn winter".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
KINDS = "film picture movie drama western comedy thriller".split()
MEETS = "meets follows visits remembers hires hides recognises writes paints rescues".split()

# Of the language models and the tagger.
VERBS = ("accept approve build buy change close consider cut defend delay develop discuss examine expand "
         "explain finance follow help improve increase limit move offer open oppose order prevent raise "
         "reduce reject replace review sell settle support suspend").split()
PAST = ("accepted approved bought built changed closed considered cut defended delayed developed "
        "discussed examined expanded financed followed helped improved increased limited moved offered "
        "opened opposed ordered raised reduced rejected replaced reviewed settled sold supported "
        "suspended").split()
NOUNS = ("account agency agreement airline army bank board bond budget business buyer case chain change "
         "charge committee company computer contract cost council court customer dealer debt decision "
         "department director dollar economy election factory farm fund government group house industry "
         "insurer interest investor issue judge law lawyer leader lender loan manager market measure "
         "meeting member minister newspaper office official order owner partner plan plant policy price "
         "problem product program project proposal question rate report result rule sale scientist "
         "senator server shop station stock store strategy student study system tax teacher trader union "
         "unit voter worker").split()
ADJECTIVES = ("big broad cheap costly early federal final foreign free full high important joint large "
              "late legal likely local long low major modest national new old open possible private "
              "public quick recent serious short small soft special steady strong sudden tough usual "
              "weak").split()
ROLES = "chairman president director treasurer economist secretary lawyer founder".split()
MONTHS = ("january february march april may june july august september october november december").split()
PERIODS = "week month quarter year spring summer".split()
NOUNS_AND_VERBS = ("change order offer plan report move cut increase limit help review support delay finance "
                   "account charge question result rule contract issue").split()
