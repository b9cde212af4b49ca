//! Names the fields in which two values differ.
//!
//! A value becomes a list of paths with texts, in the order in which it is serialized. An enum tells its variant before its
//! contents, a list its length, and a map each key before its value: so two lists differ in a text before they differ in a path.
//! The contents of an option have the path of the option.

use core::fmt::{self, Debug, Display, Write};
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

/// A field and its two values.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) path: String,
    pub(super) first: String,
    pub(super) again: String,
}

/// Returns the first field in which two values differ; `None` if all texts are the same.
pub(super) fn first_difference<T: Serialize>(first: &T, again: &T) -> Option<Difference> {
    let (first, again) = (Fields::of(first).told, Fields::of(again).told);
    let at = (0..first.len().max(again.len())).find(|at| first.get(*at) != again.get(*at))?;
    let (first, again) = (first.get(at), again.get(at));
    let (path, _) = first.or(again)?;
    let text = |told: Option<&(String, String)>| match told {
        None => "nothing".to_string(),
        Some((own, text)) if own == path => text.clone(),
        Some((other, text)) => format!("{text} in {other}"),
    };
    Some(Difference { path: path.clone(), first: text(first), again: text(again) })
}

/// Returns all fields of a value as one text.
pub(in crate::sim) fn readable<T: Serialize>(value: &T) -> String {
    let told = Fields::of(value).told;
    let texts: Vec<String> = told
        .iter()
        .map(|(path, text)| if path.is_empty() { text.clone() } else { format!("{path}: {text}") })
        .collect();
    texts.join(", ")
}

/// Collects the fields of a value.
#[derive(Default)]
struct Fields {
    /// Of what is being serialized.
    path: String,
    /// Path and text of each field so far.
    told: Vec<(String, String)>,
}

impl Fields {
    /// Returns all fields, or those before the one that cannot be serialized.
    fn of<T: Serialize>(value: &T) -> Self {
        let mut fields = Self::default();
        let _ = value.serialize(&mut fields);
        fields
    }

    fn tell(&mut self, text: impl Display) -> fmt::Result {
        self.told.push((self.path.clone(), text.to_string()));
        Ok(())
    }

    fn tell_debug(&mut self, value: impl Debug) -> fmt::Result {
        self.tell(format_args!("{value:?}"))
    }

    fn within(&mut self, name: impl Display, value: &(impl Serialize + ?Sized)) -> fmt::Result {
        let length = self.path.len();
        let dot = if length > 0 { "." } else { "" };
        write!(self.path, "{dot}{name}")?;
        value.serialize(&mut *self)?;
        self.path.truncate(length);
        Ok(())
    }

    fn parts(&mut self) -> Result<Parts<'_>, fmt::Error> {
        Ok(Parts { fields: self, next: 0, key: String::new() })
    }
}

impl<'f> Serializer for &'f mut Fields {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Parts<'f>;
    type SerializeTuple = Parts<'f>;
    type SerializeTupleStruct = Parts<'f>;
    type SerializeTupleVariant = Parts<'f>;
    type SerializeMap = Parts<'f>;
    type SerializeStruct = Parts<'f>;
    type SerializeStructVariant = Parts<'f>;

    /// As for postcard: the fields are those that are sent.
    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> fmt::Result {
        self.tell(value)
    }

    fn serialize_i8(self, value: i8) -> fmt::Result {
        self.tell(value)
    }

    fn serialize_i16(self, value: i16) -> fmt::Result {
        self.tell(value)
    }

    fn serialize_i32(self, value: i32) -> fmt::Result {
        self.tell(value)
    }

    fn serialize_i64(self, value: i64) -> fmt::Result {
        self.tell(value)
    }

    fn serialize_i128(self, value: i128) -> fmt::Result {
        self.tell(value)
    }

    fn serialize_u8(self, value: u8) -> fmt::Result {
        self.tell(value)
    }

    fn serialize_u16(self, value: u16) -> fmt::Result {
        self.tell(value)
    }

    fn serialize_u32(self, value: u32) -> fmt::Result {
        self.tell(value)
    }

    fn serialize_u64(self, value: u64) -> fmt::Result {
        self.tell(value)
    }

    fn serialize_u128(self, value: u128) -> fmt::Result {
        self.tell(value)
    }

    fn serialize_f32(self, value: f32) -> fmt::Result {
        if value.is_nan() { self.tell(format_args!("NaN {:#x}", value.to_bits())) } else { self.tell_debug(value) }
    }

    fn serialize_f64(self, value: f64) -> fmt::Result {
        if value.is_nan() { self.tell(format_args!("NaN {:#x}", value.to_bits())) } else { self.tell_debug(value) }
    }

    fn serialize_char(self, value: char) -> fmt::Result {
        self.tell_debug(value)
    }

    fn serialize_str(self, value: &str) -> fmt::Result {
        self.tell_debug(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> fmt::Result {
        self.tell(format_args!("{value:02x?}"))
    }

    fn serialize_none(self) -> fmt::Result {
        self.tell("None")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> fmt::Result {
        self.tell("Some")?;
        value.serialize(self)
    }

    fn serialize_unit(self) -> fmt::Result {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> fmt::Result {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> fmt::Result {
        self.tell(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> fmt::Result {
        self.within(0, value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> fmt::Result {
        self.tell(variant)?;
        self.within(0, value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Parts<'f>, fmt::Error> {
        self.tell(format_args!("length {}", length.unwrap_or_default()))?;
        self.parts()
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'f>, fmt::Error> {
        self.parts()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'f>, fmt::Error> {
        self.parts()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'f>, fmt::Error> {
        self.tell(variant)?;
        self.parts()
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Parts<'f>, fmt::Error> {
        self.tell(format_args!("length {}", length.unwrap_or_default()))?;
        self.parts()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'f>, fmt::Error> {
        self.parts()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'f>, fmt::Error> {
        self.tell(variant)?;
        self.parts()
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> fmt::Result {
        self.serialize_str(&value.to_string())
    }
}

/// The parts of a list, a map or a struct, one after the other.
struct Parts<'f> {
    fields: &'f mut Fields,
    /// Index of the next element.
    next: usize,
    /// Of the next value of a map.
    key: String,
}

impl Parts<'_> {
    fn element(&mut self, value: &(impl Serialize + ?Sized)) -> fmt::Result {
        let at = self.next;
        self.next += 1;
        self.fields.within(at, value)
    }
}

impl SerializeSeq for Parts<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> fmt::Result {
        self.element(value)
    }

    fn end(self) -> fmt::Result {
        Ok(())
    }
}

impl SerializeTuple for Parts<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> fmt::Result {
        self.element(value)
    }

    fn end(self) -> fmt::Result {
        Ok(())
    }
}

impl SerializeTupleStruct for Parts<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> fmt::Result {
        self.element(value)
    }

    fn end(self) -> fmt::Result {
        Ok(())
    }
}

impl SerializeTupleVariant for Parts<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> fmt::Result {
        self.element(value)
    }

    fn end(self) -> fmt::Result {
        Ok(())
    }
}

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> fmt::Result {
        let texts: Vec<String> = Fields::of(&key).told.into_iter().map(|(_, text)| text).collect();
        self.key = texts.join(" ");
        self.fields.tell(format_args!("key {}", self.key))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> fmt::Result {
        self.fields.within(&self.key, value)
    }

    fn end(self) -> fmt::Result {
        Ok(())
    }
}

impl SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> fmt::Result {
        self.fields.within(name, value)
    }

    fn end(self) -> fmt::Result {
        Ok(())
    }
}

impl SerializeStructVariant for Parts<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> fmt::Result {
        self.fields.within(name, value)
    }

    fn end(self) -> fmt::Result {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::vec;

    #[derive(Clone, serde::Serialize)]
    enum Lamp {
        Off,
        On(u8),
        Blinks { on_ms: u16, off_ms: u16 },
        Both(u8, u8),
    }

    #[derive(Clone, serde::Serialize)]
    struct Volts(f32);

    #[derive(Clone, serde::Serialize)]
    struct Drive {
        torque: Option<i16>,
        lamp: Lamp,
        volts: [Volts; 2],
        list: Vec<(bool, char)>,
        map: BTreeMap<u8, u64>,
        name: &'static str,
        unit: (),
    }

    fn drive() -> Drive {
        Drive {
            torque: Some(-3),
            lamp: Lamp::On(5),
            volts: [Volts(1.5), Volts(0.0)],
            list: vec![(true, 'x')],
            map: BTreeMap::from([(1, u64::MAX), (2, 7)]),
            name: "a",
            unit: (),
        }
    }

    #[test]
    fn the_first_field_that_differs_is_named() {
        let differs = |change: fn(&mut Drive)| {
            let mut other = drive();
            change(&mut other);
            let Difference { path, first, again } = first_difference(&drive(), &other).unwrap();
            [path, first, again]
        };
        assert_eq!(first_difference(&drive(), &drive()), None);
        assert_eq!(differs(|drive| drive.torque = Some(4)), ["torque", "-3", "4"]);
        assert_eq!(differs(|drive| drive.torque = None), ["torque", "Some", "None"]);
        assert_eq!(differs(|drive| drive.lamp = Lamp::On(6)), ["lamp.0", "5", "6"]);
        assert_eq!(differs(|drive| drive.lamp = Lamp::Off), ["lamp", "On", "Off"]);
        assert_eq!(differs(|drive| drive.lamp = Lamp::Both(5, 5)), ["lamp", "On", "Both"]);
        assert_eq!(differs(|drive| drive.volts[1].0 = -0.0), ["volts.1.0", "0.0", "-0.0"]);
        assert_eq!(differs(|drive| drive.volts[0].0 = f32::NAN), ["volts.0.0", "1.5", "NaN 0x7fc00000"]);
        assert_eq!(differs(|drive| drive.list.clear()), ["list", "length 1", "length 0"]);
        assert_eq!(differs(|drive| drive.list[0].1 = 'y'), ["list.0.1", "'x'", "'y'"]);
        assert_eq!(
            differs(|drive| drive.map = BTreeMap::from([(1, u64::MAX - 1), (2, 7)])),
            ["map.1", "18446744073709551615", "18446744073709551614"]
        );
        assert_eq!(
            differs(|drive| drive.map = BTreeMap::from([(0, u64::MAX), (2, 7)])),
            ["map", "key 1", "key 0"],
            "as in another order"
        );
        assert_eq!(differs(|drive| drive.name = "b"), ["name", "\"a\"", "\"b\""]);
        let blinks = |off_ms| Lamp::Blinks { on_ms: 1, off_ms };
        let blinking = first_difference(&blinks(2), &blinks(3)).unwrap();
        assert_eq!(blinking, Difference { path: "off_ms".into(), first: "2".into(), again: "3".into() });
        assert_eq!(first_difference(&Lamp::Both(1, 2), &Lamp::Both(1, 3)).unwrap().path, "1");
        assert_eq!(first_difference(&1, &2).unwrap().path, "", "the value itself");
    }

    #[test]
    fn a_nan_tells_its_bits() {
        let nan = |bits: u32| f32::from_bits(0x7FC0_0000 | bits);
        assert_eq!(first_difference(&nan(1), &nan(1)), None);
        assert_ne!(first_difference(&nan(1), &nan(2)), None);
    }
}
