//! Names of months, weekdays and day halves in 22 languages.
//!
//! In: nothing. Out: tables for `locale.rs` to build matchers from.
//! Promises: lower case; alternatives parted by `|`, full names first; abbreviations without
//! their point; within a language no alternative stands for two values.
//! On failure: nothing can fail; a test checks the promises.
//!
//! Source: everyday spelling in each language, both the form used in a date (Polish `stycznia`)
//! and the one that stands alone (`styczeń`); abbreviations as the Unicode CLDR, older JDKs and
//! glibc print them; spellings without accents where people type them.

/// The names of one language.
pub struct Names {
    /// ISO 639-1 code.
    pub code: &'static str,
    /// January to December.
    pub months: [&'static str; 12],
    /// Monday to Sunday.
    pub days: [&'static str; 7],
    /// Before and after noon.
    pub halves: [&'static str; 2],
}

/// English, which every other language falls back to.
pub static ENGLISH: Names = Names {
    code: "en",
    months: [
        "january|jan",
        "february|feb",
        "march|mar",
        "april|apr",
        "may",
        "june|jun",
        "july|jul",
        "august|aug",
        "september|sep|sept",
        "october|oct",
        "november|nov",
        "december|dec",
    ],
    days: [
        "monday|mon",
        "tuesday|tue|tues",
        "wednesday|wed",
        "thursday|thu|thur|thurs",
        "friday|fri",
        "saturday|sat",
        "sunday|sun",
    ],
    halves: ["am|a.m", "pm|p.m"],
};

/// All languages but English.
pub static OTHERS: [Names; 21] = [
    GERMAN, FRENCH, SPANISH, ITALIAN, PORTUGUESE, DUTCH, POLISH, RUSSIAN, SWEDISH, DANISH,
    NORWEGIAN, NYNORSK, FINNISH, CZECH, TURKISH, HUNGARIAN, ROMANIAN, UKRAINIAN, CHINESE, JAPANESE,
    KOREAN,
];

const GERMAN: Names = Names {
    code: "de",
    months: [
        "januar|jan|jänner|jän",
        "februar|feb|febr|feber",
        "märz|mär|mrz|maerz|marz",
        "april|apr",
        "mai",
        "juni|jun",
        "juli|jul",
        "august|aug",
        "september|sep|sept",
        "oktober|okt",
        "november|nov",
        "dezember|dez",
    ],
    days: [
        "montag|mo",
        "dienstag|di",
        "mittwoch|mi",
        "donnerstag|do",
        "freitag|fr",
        "samstag|sa|sonnabend",
        "sonntag|so",
    ],
    halves: ["vorm|vormittags", "nachm|nachmittags"],
};

const FRENCH: Names = Names {
    code: "fr",
    months: [
        "janvier|janv|jan",
        "février|févr|fév|fevrier|fevr|fev",
        "mars|mar",
        "avril|avr",
        "mai",
        "juin",
        "juillet|juil",
        "août|aoû|aout",
        "septembre|sept|sep",
        "octobre|oct",
        "novembre|nov",
        "décembre|déc|decembre|dec",
    ],
    days: [
        "lundi|lun",
        "mardi|mar",
        "mercredi|mer",
        "jeudi|jeu",
        "vendredi|ven",
        "samedi|sam",
        "dimanche|dim",
    ],
    halves: ["matin", "après-midi"],
};

const SPANISH: Names = Names {
    code: "es",
    months: [
        "enero|ene",
        "febrero|feb",
        "marzo|mar",
        "abril|abr",
        "mayo|may",
        "junio|jun",
        "julio|jul",
        "agosto|ago",
        "septiembre|sep|sept|setiembre|set",
        "octubre|oct",
        "noviembre|nov",
        "diciembre|dic",
    ],
    days: [
        "lunes|lun",
        "martes|mar",
        "miércoles|mié|miercoles|mie",
        "jueves|jue",
        "viernes|vie",
        "sábado|sáb|sabado|sab",
        "domingo|dom",
    ],
    halves: ["a. m|a.\u{a0}m", "p. m|p.\u{a0}m"],
};

const ITALIAN: Names = Names {
    code: "it",
    months: [
        "gennaio|gen",
        "febbraio|feb",
        "marzo|mar",
        "aprile|apr",
        "maggio|mag",
        "giugno|giu",
        "luglio|lug",
        "agosto|ago",
        "settembre|set|sett",
        "ottobre|ott",
        "novembre|nov",
        "dicembre|dic",
    ],
    days: [
        "lunedì|lun|lunedi",
        "martedì|mar|martedi",
        "mercoledì|mer|mercoledi",
        "giovedì|gio|giovedi",
        "venerdì|ven|venerdi",
        "sabato|sab",
        "domenica|dom",
    ],
    halves: ["m", "p"],
};

const PORTUGUESE: Names = Names {
    code: "pt",
    months: [
        "janeiro|jan",
        "fevereiro|fev",
        "março|mar|marco",
        "abril|abr",
        "maio|mai",
        "junho|jun",
        "julho|jul",
        "agosto|ago",
        "setembro|set",
        "outubro|out",
        "novembro|nov",
        "dezembro|dez",
    ],
    days: [
        "segunda-feira|seg|segunda",
        "terça-feira|ter|terça|terca-feira|terca",
        "quarta-feira|qua|quarta",
        "quinta-feira|qui|quinta",
        "sexta-feira|sex|sexta",
        "sábado|sáb|sabado|sab",
        "domingo|dom",
    ],
    halves: ["da manhã|manhã", "da tarde|tarde"],
};

const DUTCH: Names = Names {
    code: "nl",
    months: [
        "januari|jan",
        "februari|feb|febr",
        "maart|mrt|maa",
        "april|apr",
        "mei",
        "juni|jun",
        "juli|jul",
        "augustus|aug",
        "september|sep|sept",
        "oktober|okt",
        "november|nov",
        "december|dec",
    ],
    days: [
        "maandag|ma",
        "dinsdag|di",
        "woensdag|wo",
        "donderdag|do",
        "vrijdag|vr",
        "zaterdag|za",
        "zondag|zo",
    ],
    halves: ["a.m|vm", "p.m|nm"],
};

const POLISH: Names = Names {
    code: "pl",
    months: [
        "stycznia|sty|styczeń|styczen",
        "lutego|lut|luty",
        "marca|mar|marzec",
        "kwietnia|kwi|kwiecień|kwiecien",
        "maja|maj",
        "czerwca|cze|czerwiec",
        "lipca|lip|lipiec",
        "sierpnia|sie|sierpień|sierpien",
        "września|wrz|wrzesień|wrzesnia|wrzesien",
        "października|paź|październik|pazdziernika|pazdziernik|paz",
        "listopada|lis|listopad",
        "grudnia|gru|grudzień|grudzien",
    ],
    days: [
        "poniedziałek|pon|poniedzialek|pn|pon",
        "wtorek|wto|wt",
        "środa|śro|śr|sroda|sro|sr",
        "czwartek|czw|cz",
        "piątek|pią|pt|piatek|pia",
        "sobota|sob|so|sb",
        "niedziela|nie|niedz|nd|n",
    ],
    halves: ["am", "pm"],
};

const RUSSIAN: Names = Names {
    code: "ru",
    months: [
        "января|янв|январь",
        "февраля|фев|февр|февраль",
        "марта|мар|март",
        "апреля|апр|апрель",
        "мая|май",
        "июня|июн|июнь",
        "июля|июл|июль",
        "августа|авг|август",
        "сентября|сен|сент|сентябрь",
        "октября|окт|октябрь",
        "ноября|ноя|нояб|ноябрь",
        "декабря|дек|декабрь",
    ],
    days: [
        "понедельник|пн|пнд",
        "вторник|вт|втр",
        "среда|ср|срд",
        "четверг|чт|чтв",
        "пятница|пт|птн",
        "суббота|сб|сбт",
        "воскресенье|вс|вск",
    ],
    halves: ["дп", "пп"],
};

const SWEDISH: Names = Names {
    code: "sv",
    months: [
        "januari|jan",
        "februari|feb|febr",
        "mars|mar",
        "april|apr",
        "maj",
        "juni|jun",
        "juli|jul",
        "augusti|aug",
        "september|sep|sept",
        "oktober|okt",
        "november|nov",
        "december|dec",
    ],
    days: [
        "måndag|mån|må",
        "tisdag|tis|ti",
        "onsdag|ons|on",
        "torsdag|tors|tor|to",
        "fredag|fre|fr",
        "lördag|lör|lö",
        "söndag|sön|sö",
    ],
    halves: ["fm|f.m", "em|e.m"],
};

const DANISH: Names = Names {
    code: "da",
    months: [
        "januar|jan",
        "februar|feb|febr",
        "marts|mar",
        "april|apr",
        "maj",
        "juni|jun",
        "juli|jul",
        "august|aug",
        "september|sep|sept",
        "oktober|okt",
        "november|nov",
        "december|dec",
    ],
    days: [
        "mandag|man|ma",
        "tirsdag|tirs|tir|ti",
        "onsdag|ons|on",
        "torsdag|tors|tor|to",
        "fredag|fre|fr",
        "lørdag|lør|lø",
        "søndag|søn|sø",
    ],
    halves: ["am", "pm"],
};

const NORWEGIAN: Names = Names {
    code: "nb",
    months: [
        "januar|jan",
        "februar|feb|febr",
        "mars|mar",
        "april|apr",
        "mai",
        "juni|jun",
        "juli|jul",
        "august|aug",
        "september|sep|sept",
        "oktober|okt",
        "november|nov",
        "desember|des",
    ],
    days: [
        "mandag|man|ma",
        "tirsdag|tirs|tir|ti",
        "onsdag|ons|on",
        "torsdag|tors|tor|to",
        "fredag|fre|fr",
        "lørdag|lør|lø",
        "søndag|søn|sø",
    ],
    halves: ["am", "pm"],
};

const NYNORSK: Names = Names {
    code: "nn",
    months: NORWEGIAN.months,
    days: [
        "måndag|mån|må",
        "tysdag|tys|ty",
        "onsdag|ons|on",
        "torsdag|tors|tor|to",
        "fredag|fre|fr",
        "laurdag|lau|la",
        "søndag|søn|sundag|sø",
    ],
    halves: ["fm|f.m", "em|e.m"],
};

const FINNISH: Names = Names {
    code: "fi",
    months: [
        "tammikuuta|tammi|tammikuu|tammik",
        "helmikuuta|helmi|helmikuu|helmik",
        "maaliskuuta|maalis|maaliskuu|maalisk",
        "huhtikuuta|huhti|huhtikuu|huhtik",
        "toukokuuta|touko|toukokuu|toukok",
        "kesäkuuta|kesä|kesäkuu|kesäk",
        "heinäkuuta|heinä|heinäkuu|heinäk",
        "elokuuta|elo|elokuu|elok",
        "syyskuuta|syys|syyskuu|syysk",
        "lokakuuta|loka|lokakuu|lokak",
        "marraskuuta|marras|marraskuu|marrask",
        "joulukuuta|joulu|joulukuu|jouluk",
    ],
    days: [
        "maanantaina|ma|maanantai",
        "tiistaina|ti|tiistai",
        "keskiviikkona|ke|keskiviikko",
        "torstaina|to|torstai",
        "perjantaina|pe|perjantai",
        "lauantaina|la|lauantai",
        "sunnuntaina|su|sunnuntai",
    ],
    halves: ["ap", "ip"],
};

const CZECH: Names = Names {
    code: "cs",
    months: [
        "ledna|led|leden",
        "února|úno|únor|unora|unor",
        "března|bře|březen|brezna|brezen",
        "dubna|dub|duben",
        "května|kvě|květen|kvetna|kveten",
        "června|čvn|červen|cervna|cerven|čer",
        "července|čvc|červenec|cervence|cervenec",
        "srpna|srp|srpen",
        "září|zář|zari",
        "října|říj|říjen|rijna|rijen",
        "listopadu|lis|listopad",
        "prosince|pro|prosinec",
    ],
    days: [
        "pondělí|po|pon|pondeli",
        "úterý|út|úte|utery",
        "středa|st|stř|streda",
        "čtvrtek|čt|čtv|ctvrtek",
        "pátek|pá|pát|patek",
        "sobota|so|sob",
        "neděle|ne|ned|nedele",
    ],
    halves: ["dop|dopoledne", "odp|odpoledne"],
};

const TURKISH: Names = Names {
    code: "tr",
    months: [
        "ocak|oca",
        "şubat|şub|subat|sub",
        "mart|mar",
        "nisan|nis|ni̇san|ni̇s",
        "mayıs|may|mayis",
        "haziran|haz|hazi̇ran",
        "temmuz|tem",
        "ağustos|ağu|agustos|agu",
        "eylül|eyl|eylul",
        "ekim|eki|eki̇m|eki̇",
        "kasım|kas|kasim",
        "aralık|ara|aralik",
    ],
    days: [
        "pazartesi|pzt|pazartesi̇",
        "salı|sal|sali",
        "çarşamba|çar|carsamba|çrş",
        "perşembe|per|persembe|prş",
        "cuma|cum",
        "cumartesi|cmt|cumartesi̇",
        "pazar|paz",
    ],
    halves: ["öö", "ös"],
};

const HUNGARIAN: Names = Names {
    code: "hu",
    months: [
        "január|jan",
        "február|febr|feb",
        "március|márc|már|marcius",
        "április|ápr|aprilis",
        "május|máj|majus",
        "június|jún|junius",
        "július|júl|julius",
        "augusztus|aug",
        "szeptember|szept|szep",
        "október|okt|oktober",
        "november|nov",
        "december|dec",
    ],
    days: [
        "hétfő|h|hét",
        "kedd|k|ked",
        "szerda|sze",
        "csütörtök|cs|csüt|csü",
        "péntek|p|pén",
        "szombat|szo",
        "vasárnap|v|vas",
    ],
    halves: ["de", "du"],
};

const ROMANIAN: Names = Names {
    code: "ro",
    months: [
        "ianuarie|ian",
        "februarie|feb|febr",
        "martie|mar|mart",
        "aprilie|apr",
        "mai",
        "iunie|iun",
        "iulie|iul",
        "august|aug",
        "septembrie|sept|sep",
        "octombrie|oct",
        "noiembrie|nov|noi|noiem",
        "decembrie|dec",
    ],
    days: [
        "luni|lun|lu|l",
        "marți|mar|ma|marti|marţi",
        "miercuri|mie|mi",
        "joi|jo|j",
        "vineri|vin|vi|v",
        "sâmbătă|sâm|sambata|sam|sâ",
        "duminică|dum|du|duminica|d",
    ],
    halves: ["a.m|am", "p.m|pm"],
};

const UKRAINIAN: Names = Names {
    code: "uk",
    months: [
        "січня|січ|січень",
        "лютого|лют|лютий",
        "березня|бер|березень",
        "квітня|кві|квіт|квітень",
        "травня|тра|трав|травень",
        "червня|чер|черв|червень",
        "липня|лип|липень",
        "серпня|сер|серп|серпень",
        "вересня|вер|верес|вересень",
        "жовтня|жов|жовт|жовтень",
        "листопада|лис|лист|листопад",
        "грудня|гру|груд|грудень",
    ],
    days: [
        "понеділок|пн",
        "вівторок|вт",
        "середа|ср",
        "четвер|чт",
        "пʼятниця|пт|п'ятниця|п’ятниця",
        "субота|сб",
        "неділя|нд",
    ],
    halves: ["дп", "пп"],
};

const CHINESE: Names = Names {
    code: "zh",
    months: [
        "1月|一月|01月",
        "2月|二月|02月",
        "3月|三月|03月",
        "4月|四月|04月",
        "5月|五月|05月",
        "6月|六月|06月",
        "7月|七月|07月",
        "8月|八月|08月",
        "9月|九月|09月",
        "10月|十月",
        "11月|十一月",
        "12月|十二月",
    ],
    days: [
        "星期一|周一|週一|一|礼拜一",
        "星期二|周二|週二|二|礼拜二",
        "星期三|周三|週三|三|礼拜三",
        "星期四|周四|週四|四|礼拜四",
        "星期五|周五|週五|五|礼拜五",
        "星期六|周六|週六|六|礼拜六",
        "星期日|周日|週日|日|星期天|礼拜日",
    ],
    halves: ["上午", "下午"],
};

const JAPANESE: Names = Names {
    code: "ja",
    months: [
        "1月|一月|01月",
        "2月|二月|02月",
        "3月|三月|03月",
        "4月|四月|04月",
        "5月|五月|05月",
        "6月|六月|06月",
        "7月|七月|07月",
        "8月|八月|08月",
        "9月|九月|09月",
        "10月|十月",
        "11月|十一月",
        "12月|十二月",
    ],
    days: [
        "月曜日|月|月曜",
        "火曜日|火|火曜",
        "水曜日|水|水曜",
        "木曜日|木|木曜",
        "金曜日|金|金曜",
        "土曜日|土|土曜",
        "日曜日|日|日曜",
    ],
    halves: ["午前", "午後"],
};

const KOREAN: Names = Names {
    code: "ko",
    months: [
        "1월|01월|일월",
        "2월|02월|이월",
        "3월|03월|삼월",
        "4월|04월|사월",
        "5월|05월|오월",
        "6월|06월|유월",
        "7월|07월|칠월",
        "8월|08월|팔월",
        "9월|09월|구월",
        "10월|시월",
        "11월|십일월",
        "12월|십이월",
    ],
    days: [
        "월요일|월",
        "화요일|화",
        "수요일|수",
        "목요일|목",
        "금요일|금",
        "토요일|토",
        "일요일|일",
    ],
    halves: ["오전", "오후"],
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn check(code: &str, names: &[&'static str]) {
        let mut seen = HashMap::new();
        for (index, alternatives) in names.iter().enumerate() {
            for name in alternatives.split('|') {
                assert_eq!(name, name.to_lowercase(), "{code}: lower case");
                assert!(!name.is_empty() && !name.ends_with('.'), "{code}: {name:?}");
                let before = seen.insert(name, index).unwrap_or(index);
                assert_eq!(before, index, "{code}: {name} stands for two values");
            }
        }
    }

    #[test]
    fn promises_hold_for_every_language() {
        for names in OTHERS.iter().chain([&ENGLISH]) {
            check(names.code, &names.months);
            check(names.code, &names.days);
            check(names.code, &names.halves);
        }
    }
}
