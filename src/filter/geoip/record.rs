//! What a database says about an address, as the JSON of the target.
//!
//! In: a record of any of `MaxMind`'s databases (City, Country, ASN, ISP, Enterprise, by
//! "Databases" of their documentation). Out: an object with Logstash's names.
//! Promises: what the record does not have is left out; names are the English ones.

use std::net::IpAddr;

use serde::Deserialize;

use crate::event::write_string;

/// The parts of a record that are used; each database has some of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Record<'a> {
    #[serde(borrow)]
    city: Named<'a>,
    #[serde(borrow)]
    continent: Named<'a>,
    #[serde(borrow)]
    country: Named<'a>,
    #[serde(borrow)]
    location: Location<'a>,
    #[serde(borrow)]
    postal: Named<'a>,
    #[serde(borrow)]
    subdivisions: Vec<Named<'a>>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'a str>,
    isp: Option<&'a str>,
    organization: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named<'a> {
    code: Option<&'a str>,
    iso_code: Option<&'a str>,
    #[serde(borrow)]
    names: Names<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Names<'a> {
    en: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Location<'a> {
    latitude: Option<f64>,
    longitude: Option<f64>,
    metro_code: Option<u16>,
    time_zone: Option<&'a str>,
}

/// A field of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::enum_variant_names)] // they are the names of the fields
pub(super) enum Name {
    Ip,
    CityName,
    ContinentCode,
    ContinentName,
    CountryCode2,
    CountryCode3,
    CountryName,
    DmaCode,
    Latitude,
    Location,
    Longitude,
    PostalCode,
    RegionCode,
    RegionName,
    Timezone,
    Asn,
    AsOrg,
    Isp,
    Organization,
}

impl Name {
    /// All of them, in the order in which they are written. `country_code3` is the same two letters
    /// as `country_code2`, as in Logstash: the databases have no third one.
    pub(super) const ALL: &[(&str, Name)] = &[
        ("ip", Name::Ip),
        ("city_name", Name::CityName),
        ("continent_code", Name::ContinentCode),
        ("continent_name", Name::ContinentName),
        ("country_code2", Name::CountryCode2),
        ("country_code3", Name::CountryCode3),
        ("country_name", Name::CountryName),
        ("dma_code", Name::DmaCode),
        ("latitude", Name::Latitude),
        ("longitude", Name::Longitude),
        ("location", Name::Location),
        ("postal_code", Name::PostalCode),
        ("region_code", Name::RegionCode),
        ("region_name", Name::RegionName),
        ("timezone", Name::Timezone),
        ("asn", Name::Asn),
        ("as_org", Name::AsOrg),
        ("isp", Name::Isp),
        ("organization", Name::Organization),
    ];

    fn word(self) -> &'static str {
        Name::ALL.iter().find(|(_, name)| *name == self).map_or("", |(word, _)| *word)
    }
}

enum Part<'a> {
    Text(&'a str),
    Whole(u32),
    Fraction(f64),
    Point(f64, f64),
}

impl Record<'_> {
    /// Writes the object; `false` when the record has none of the names but the address itself.
    pub(super) fn write(&self, address: IpAddr, names: &[Name], out: &mut Vec<u8>) -> bool {
        let ip = address.to_string();
        let mut any = false;
        out.push(b'{');
        for name in names {
            let part = match name {
                Name::Ip => Some(Part::Text(&ip)),
                other => self.part(*other),
            };
            let Some(part) = part else { continue };
            if out.len() > 1 {
                out.push(b',');
            }
            any |= *name != Name::Ip;
            write_string(name.word().as_bytes(), out);
            out.push(b':');
            part.write(out);
        }
        out.push(b'}');
        any
    }

    fn part(&self, name: Name) -> Option<Part<'_>> {
        let place = &self.location;
        match name {
            Name::Ip => None,
            Name::CityName => self.city.names.en.map(Part::Text),
            Name::ContinentCode => self.continent.code.map(Part::Text),
            Name::ContinentName => self.continent.names.en.map(Part::Text),
            Name::CountryCode2 | Name::CountryCode3 => self.country.iso_code.map(Part::Text),
            Name::CountryName => self.country.names.en.map(Part::Text),
            Name::DmaCode => place.metro_code.map(|code| Part::Whole(u32::from(code))),
            Name::Latitude => place.latitude.filter(|n| n.is_finite()).map(Part::Fraction),
            Name::Longitude => place.longitude.filter(|n| n.is_finite()).map(Part::Fraction),
            Name::Location => {
                let point = place.latitude.zip(place.longitude);
                point
                    .filter(|(a, b)| a.is_finite() && b.is_finite())
                    .map(|(a, b)| Part::Point(a, b))
            }
            Name::PostalCode => self.postal.code.map(Part::Text),
            Name::RegionCode => self.subdivisions.first()?.iso_code.map(Part::Text),
            Name::RegionName => self.subdivisions.first()?.names.en.map(Part::Text),
            Name::Timezone => place.time_zone.map(Part::Text),
            Name::Asn => self.autonomous_system_number.map(Part::Whole),
            Name::AsOrg => self.autonomous_system_organization.map(Part::Text),
            Name::Isp => self.isp.map(Part::Text),
            Name::Organization => self.organization.map(Part::Text),
        }
    }
}

impl Part<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let number = |n: f64, out: &mut Vec<u8>| {
            out.extend_from_slice(ryu::Buffer::new().format(n).as_bytes());
        };
        match self {
            Part::Text(text) => write_string(text.as_bytes(), out),
            Part::Whole(n) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
            Part::Fraction(n) => number(*n, out),
            Part::Point(latitude, longitude) => {
                out.extend_from_slice(b"{\"lat\":");
                number(*latitude, out);
                out.extend_from_slice(b",\"lon\":");
                number(*longitude, out);
                out.push(b'}');
            }
        }
    }
}
