//! Encoded items as plain trees: something to compare and to walk.

use bytes::Bytes;
use kmip_protocol::Tag;
use kmip_protocol::dictionary::Names;
use kmip_ttlv::{Dictionary, Error, ItemType, Limits, Reader, Writer};

/// An item: of a structure the items in it, of anything else the bytes of its value.
#[derive(Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) tag: Tag,
    pub(crate) item_type: ItemType,
    pub(crate) value: Bytes,
    pub(crate) items: Vec<Item>,
}

impl Item {
    pub(crate) fn decode(source: &Bytes) -> Self {
        let mut reader = Reader::new(source, Limits::DEFAULT).unwrap();
        let item = Self::read(&mut reader).unwrap();
        reader.finish().unwrap();
        item
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.finish().into_bytes()
    }

    fn write(&self, writer: &mut Writer) {
        if self.item_type == ItemType::Structure {
            return writer
                .structure(self.tag, |inside| self.items.iter().for_each(|item| item.write(inside)));
        }
        let [_, tag @ ..] = self.tag.value().to_be_bytes();
        let length = u32::try_from(self.value.len()).unwrap().to_be_bytes();
        let mut bytes = [&tag[..], &[self.item_type.code()], &length, &self.value].concat();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        writer.raw(&bytes);
    }

    /// Number of items in the tree.
    pub(crate) fn count(&self) -> usize {
        1 + self.items.iter().map(Self::count).sum::<usize>()
    }

    /// Changes the list that holds the item of this number, counted from 1 in the order of encoding.
    pub(crate) fn change(&mut self, number: usize, change: &dyn Fn(&mut Vec<Self>, usize)) {
        let mut first = 1;
        for at in 0..self.items.len() {
            if number == first {
                return change(&mut self.items, at);
            }
            let count = self.items[at].count();
            if number < first + count {
                return self.items[at].change(number - first, change);
            }
            first += count;
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let header = reader.peek()?.ok_or_else(|| reader.error(kmip_ttlv::ErrorKind::Truncated))?;
        let (tag, item_type) = (header.tag, header.item_type);
        if item_type != ItemType::Structure {
            return Ok(Self { tag, item_type, value: reader.raw()?.value_bytes(), items: Vec::new() });
        }
        let items = reader.structure(tag, |inside| {
            let mut items = Vec::new();
            while !inside.is_empty() {
                items.push(Self::read(inside)?);
            }
            Ok::<_, Error>(items)
        })?;
        Ok(Self { tag, item_type, value: Bytes::new(), items })
    }

    pub(crate) fn child(&self, tag: Tag) -> Option<&Self> {
        self.items.iter().find(|item| item.tag == tag)
    }

    /// The value of an Enumeration or an Integer.
    pub(crate) fn word(&self) -> u32 {
        u32::from_be_bytes(self.value[..].try_into().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.value).unwrap()
    }

    pub(crate) fn name(&self) -> String {
        Names.tag_name(self.tag).map_or_else(|| self.tag.to_string(), str::to_owned)
    }

    /// Takes out all items, however deep, that are `unwanted`.
    pub(crate) fn without(mut self, unwanted: &dyn Fn(&Self) -> bool) -> Self {
        self.items.retain(|item| !unwanted(item));
        self.items = self.items.into_iter().map(|item| item.without(unwanted)).collect();
        self
    }

    fn print(&self, depth: usize, lines: &mut Vec<String>) {
        let value = match self.item_type {
            ItemType::Structure => String::new(),
            ItemType::TextString => format!(" {:?}", self.text()),
            _ => format!(" {} {}", self.item_type.name(), self.value.iter().map(hex).collect::<String>()),
        };
        lines.push(format!("{:depth$}{}{value}", "", self.name()));
        self.items.iter().for_each(|item| item.print(depth + 1, lines));
    }

    /// The first lines in which two trees differ.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        if self == other {
            return None;
        }
        let (mut left, mut right) = (Vec::new(), Vec::new());
        self.print(0, &mut left);
        other.print(0, &mut right);
        let at = left.iter().zip(&right).take_while(|(left, right)| left == right).count();
        let show = |lines: &[String]| lines[at.saturating_sub(3)..lines.len().min(at + 6)].join("\n");
        Some(format!("--- expected\n{}\n--- found\n{}", show(&left), show(&right)))
    }
}

fn hex(byte: &u8) -> String {
    format!("{byte:02x}")
}
