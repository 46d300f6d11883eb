"""Words that tell what kind of name stands beside them, and capitalised words that are no names (English)."""

from __future__ import annotations

from knowledge_sources.mentions.lists import word_set, words_of

ORGANISATION_HEADS = word_set(
    """
    university college institute institution school academy bank committee commission council ministry department
    agency bureau office authority administration association society foundation federation union league party
    congress parliament senate assembly government army navy corps police guard force forces marines brigade
    battalion regiment division squadron coalition alliance front movement brotherhood group organization
    organisation company corporation corp inc ltd llc llp plc gmbh partners holdings industries enterprises
    associates bancorp airlines airways railways roadways records pictures studios entertainment productions press
    times post journal news network radio television magazine gazette tribune herald telegraph broadcasting hospital
    clinic church club team orchestra band ensemble court tribunal board service services system systems software
    technologies communications laboratories labs pharmaceuticals insurance trust fund capital securities exchange
    syndicate cooperative centre center museum library theatre jihad initiative program programme project task
    mission secretariat directorate command headquarters staff
    """
)
PLACE_HEADS = word_set(
    """
    river lake mount mountain mountains hills hill valley island islands bay gulf sea ocean strait peninsula coast
    beach desert forest park city town village county district province state region territory republic kingdom
    street road avenue boulevard lane drive square bridge airport station stadium oval arena castle palace tower
    canal creek falls plateau plain cape harbour harbor port heights township parish municipality prefecture
    governorate oblast canyon glacier reef springs ridge hotel resort restaurant cafe inn pizza bar mall plaza
    terminal farm cemetery cathedral temple mosque monastery abbey fort camp prison crossing highway freeway
    railroad railway dam ave blvd rd
    """
)
PLACE_LEADS = word_set(
    """
    mount lake cape fort port gulf bay isle river camp strait republic kingdom state city
    """
)
DIRECTIONS = word_set(
    """
    north south east west northern southern eastern western central upper lower new greater
    """
)

TITLES = word_set(
    """
    mr mrs ms miss dr prof professor sir dame lord lady rev reverend hon president senator sen rep representative
    gov governor mayor minister chancellor secretary ambassador general gen colonel col major maj captain capt
    lieutenant lt sergeant sgt admiral commander cmdr sheikh sheik imam ayatollah mullah pope cardinal bishop
    archbishop father brother sister saint king queen prince princess duke earl baron judge justice chairman
    chairwoman ceo cfo coach director officer inspector detective spokesman spokeswoman spokesperson uncle aunt
    emperor sultan president-elect senior vice deputy acting assistant former congressman congresswoman chief
    premier consul herr frau monsieur madame
    """
)
SPEECH = word_set(
    """
    said says told tells asked asks added wrote writes believes thinks argued argues announced replied explained
    married died born knows knew wants wanted loves smiled laughed recalled insisted testified stated noted called
    warned admitted claimed claims thought
    """
)
HONORIFICS = word_set("mr mrs ms miss dr prof professor sir dame lord lady rev reverend herr frau monsieur madame")
PARTIES = word_set(
    """
    borrower lender employee executive tenant landlord lessee lessor licensee licensor buyer seller purchaser vendor
    consultant contractor guarantor pledgor indemnitee optionee participant grantee holder
    """
)
"""Role nouns that contracts use as the name of a party: "by Borrower", never "by the borrower"."""
PARTY_ORGANISATIONS = frozenset(["bank", "company", "parent", "issuer"])

RELATIONS = word_set(
    """
    in at from near to into around outside inside across throughout through toward towards of via within
    """
)

KNOWN_ORGANISATIONS = word_set(
    """
    google microsoft apple amazon facebook twitter youtube yahoo ebay intel ibm oracle nokia samsung sony toyota honda
    volkswagen siemens boeing airbus nasa nato unesco unicef opec interpol reuters bloomberg cnn bbc pentagon kremlin
    fatah hamas hezbollah taliban isis isil daesh mossad cia fbi nsa fda epa sec irs wto imf oecd fifa uefa mozilla
    wikipedia greenpeace pepsi walmart starbucks mcdonald's disney netflix goldman lufthansa unilever nestlé pfizer
    enron dynegy exxon chevron shell congress parliament senate republicans democrats labour
    """
)
OFFICES = word_set(
    """
    chairman chairwoman chairperson chair president vice chief executive director manager managing founder secretary
    treasurer partner senior officer ceo cfo coo cto cbo cmo evp svp vp head counsel controller trustee
    """
)
DEMONYMS = word_set(
    """
    american americans african asian european british english scottish irish welsh french german italian spanish
    portuguese dutch belgian swiss austrian swedish norwegian danish finnish polish czech slovak hungarian romanian
    bulgarian greek turkish russian ukrainian israeli israelis palestinian palestinians iraqi iraqis iranian
    iranians syrian lebanese jordanian saudi egyptian libyan moroccan algerian tunisian kuwaiti yemeni afghan
    pakistani indian indians bangladeshi nepalese chinese japanese korean vietnamese thai filipino indonesian
    malaysian singaporean australian australians canadian canadians mexican brazilian argentine chilean cuban latin
    hispanic arab arabs arabic muslim muslims islamic islam christian christians jewish jews sunni sunnis shia
    shiite shiites kurdish kurds hindu hindus buddhist catholic catholics protestant roman soviet nazi nazis western
    eastern latino romans celtic swedes germans russians italians mongol persian byzantine ottoman georgian armenian
    serbian croatian bosnian
    """
)

NO_NAME = frozenset(
    # words that begin sentences, or are capitalised for other reasons: pronouns, articles, calendars, web words, headings
    words_of(
        """
    i a an the this that these those he she it we they you his her its our their your my me him them us who whom
    whose which what when where why how there here and or but nor so yet for if then than as at by in on of to from
    with without within into onto over under after before during since until while because although though unless
    whether once about above across against along among around behind below beneath beside between beyond down
    except inside like near off out outside past through toward towards up upon via not no yes none all any both
    each every either neither some many much more most few several other another such same own one two three four
    five six seven eight nine ten eleven twelve hundred thousand million first second third last next only also just
    even still already again ever never always often sometimes usually maybe perhaps please thanks thank hi hello
    hey dear sorry ok okay oh well now today tomorrow yesterday soon later recently finally however therefore thus
    hence moreover furthermore besides instead otherwise meanwhile nevertheless nonetheless is are was were be been
    being am do does did done have has had having can could will would shall should may might must let get got go
    going gone come came take took make made give gave see saw know knew think thought say said tell told ask asked
    use used find found want need try keep put call called work works look looks love loved great good bad best
    better new old big small long short high low right left sure true false very really quite too rather pretty fine
    nice clean cheap easy hard free full open close part people man men woman women child children family friend
    friends guy guys kid kids day days week weeks month months year years time times place places thing things way
    ways money price prices home house office service food room location question questions answer problem reason
    example note notes number numbers email e-mail fax tel phone subject re fw fwd date title name names address
    page section article chapter exhibit schedule appendix annex table figure item items list item total amount
    agreement contract party parties effective term terms event default obligations obligation notice notices
    business law laws act rule rules code form forms report reports document documents file monday tuesday wednesday
    thursday friday saturday sunday mon tue wed thu fri sat sun january february march april june july august
    september october november december jan feb mar apr jun jul aug sep sept oct nov dec spring summer autumn fall
    winter morning evening night noon internet web website online pdf faq tv dvd cd ceo cfo coo vp
    ps p.s rsvp asap fyi aka usd eur gmt est pst am pm ad bc god christmas easter thanksgiving halloween ramadan
    english math science history music art sports according additional activated announcements both based built born
    buy call can't congratulations don't did doing during either enough everyone everything few founded from further
    given happy has hope i'd i'll i'm i've it's let's listen looking lot lots most must nobody nothing
    notwithstanding ok organization our overall overview president provided regardless regarding see several shop
    since sir someone something stay stop subject such that's their there's they're this those took unfortunately
    until unlike wait was we'll we're what's who's won't wow yeah you'll you're borrower lender bank company seller
    buyer dj dna cpu gps usb atm vat gst iban bic swift html http url isbn phd mba hr it pr hope annual beautiful
    inaugural
    """
    )
)
CONNECTORS = word_set(
    """
    of the de la le les del della di da dos das du van von der den ter bin ibn al el ben y e and & for
    """
)
PERSON_CONNECTORS = word_set(
    """
    de la le del della di da dos das du van von bin ibn al el ben
    """
)
HEAD_OF = word_set(
    """
    university department ministry bank city state republic kingdom house league institute church board college
    school office secretary bureau court council federation union association society academy museum commission
    government province gulf bay isle district county port democratic people's islamic commonwealth party army order
    knights institutes center centre organization organisation chamber administration emirate confederation bishop
    army
    """
)
