//! Adjust Attribute (6.1.3): increments, decrements or negates an attribute.

use kmip_protocol::attribute::{Attribute, AttributeReference, AttributeType, CustomValue};
use kmip_protocol::codec::{DateTime, Interval};
use kmip_protocol::enumeration::{AdjustmentType, ResultReason};
use kmip_protocol::operation::{AdjustAttributeRequest, AdjustAttributeResponse};

use super::modify_attribute::note_exposure;
use crate::attribute_rules;
use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: AdjustAttributeRequest,
) -> Result<AdjustAttributeResponse, Fault> {
    let record = context.object(request.unique_identifier.as_ref()).await?;
    let reference = &request.attribute_reference;
    if let AttributeReference::Known(known) = reference {
        attribute_rules::judge_changeable(*known)?;
    }
    let mut positions = record.attributes.iter().enumerate();
    let mut positions = positions.by_ref().filter(|(_, attribute)| attribute.reference() == *reference);
    let current = positions.next();
    if positions.next().is_some() {
        return Err(Fault::new(ResultReason::MultiValuedAttribute, "the object has several of these"));
    }
    let by = request.adjustment_value.as_ref();
    let before = match &current {
        Some((_, attribute)) => value(attribute)?,
        None => first_value(reference, by)?,
    };
    let adjusted = with_value(reference, adjust(before, request.adjustment_type, by)?)?;
    let mut changed = Record::clone(&record);
    match current {
        Some((position, _)) => {
            attribute_rules::judge_modified(&record, position, &adjusted)?;
            changed.attributes.instances[position].attribute = adjusted;
        }
        None => {
            let maximum = context.service.settings.maximum_attributes;
            attribute_rules::judge_added(&record, &adjusted, maximum)?;
            changed.add(adjusted);
        }
    }
    note_exposure(&mut changed);
    context.replace(changed);
    Ok(AdjustAttributeResponse { unique_identifier: record.unique_identifier.clone() })
}

/// The value of an attribute that can be adjusted.
fn value(attribute: &Attribute) -> Result<CustomValue, Fault> {
    use Attribute as A;
    Ok(match attribute {
        A::Custom(custom) => custom.value.clone(),
        A::ActivationDate(date)
        | A::DeactivationDate(date)
        | A::ProcessStartDate(date)
        | A::ProtectStopDate(date) => CustomValue::DateTime(*date),
        A::ProtectionPeriod(interval) => CustomValue::Interval(*interval),
        A::Extractable(flag) | A::QuantumSafe(flag) | A::Sensitive(flag) => CustomValue::Boolean(*flag),
        _ => return Err(not_adjustable()),
    })
}

/// An attribute that the object does not have counts as 0 or false. What type a custom one is to have, only the value
/// of the adjustment tells.
fn first_value(reference: &AttributeReference, by: Option<&CustomValue>) -> Result<CustomValue, Fault> {
    use AttributeType as T;
    Ok(match (reference, by) {
        (AttributeReference::Known(T::ProtectionPeriod), _) => CustomValue::Interval(Interval(0)),
        (AttributeReference::Known(T::Extractable | T::QuantumSafe | T::Sensitive), _) => {
            CustomValue::Boolean(false)
        }
        (AttributeReference::Known(_), _) => return Err(not_adjustable()),
        (_, Some(CustomValue::LongInteger(_))) => CustomValue::LongInteger(0),
        (_, Some(CustomValue::Interval(_))) => CustomValue::Interval(Interval(0)),
        (_, Some(CustomValue::Boolean(_))) => CustomValue::Boolean(false),
        (_, None | Some(CustomValue::Integer(_))) => CustomValue::Integer(0),
        _ => return Err(not_adjustable()),
    })
}

fn with_value(reference: &AttributeReference, value: CustomValue) -> Result<Attribute, Fault> {
    use AttributeType as T;
    let known = match reference {
        AttributeReference::Known(known) => *known,
        AttributeReference::Custom { vendor, name } => {
            return Ok(Attribute::custom(vendor.clone(), name.clone(), value));
        }
    };
    match (known, value) {
        (T::ActivationDate, CustomValue::DateTime(date)) => Ok(Attribute::ActivationDate(date)),
        (T::DeactivationDate, CustomValue::DateTime(date)) => Ok(Attribute::DeactivationDate(date)),
        (T::ProcessStartDate, CustomValue::DateTime(date)) => Ok(Attribute::ProcessStartDate(date)),
        (T::ProtectStopDate, CustomValue::DateTime(date)) => Ok(Attribute::ProtectStopDate(date)),
        (T::ProtectionPeriod, CustomValue::Interval(interval)) => Ok(Attribute::ProtectionPeriod(interval)),
        (T::Extractable, CustomValue::Boolean(flag)) => Ok(Attribute::Extractable(flag)),
        (T::QuantumSafe, CustomValue::Boolean(flag)) => Ok(Attribute::QuantumSafe(flag)),
        (T::Sensitive, CustomValue::Boolean(flag)) => Ok(Attribute::Sensitive(flag)),
        _ => Err(not_adjustable()),
    }
}

/// The value after the adjustment (11.1).
fn adjust(
    before: CustomValue,
    adjustment: AdjustmentType,
    by: Option<&CustomValue>,
) -> Result<CustomValue, Fault> {
    use AdjustmentType::Negate;
    let out_of_range = || Fault::new(ResultReason::NumericRange, "the value would leave its range");
    let wrong_type =
        || Fault::new(ResultReason::InvalidDataType, "the attribute has no such adjustment by such a value");
    let moved = |number: i64, by: i64| match adjustment {
        AdjustmentType::Increment => number.checked_add(by),
        AdjustmentType::Decrement => number.checked_sub(by),
        _ => number.checked_neg(),
    };
    let number = match (&before, by) {
        (CustomValue::Boolean(flag), None) if adjustment == Negate => return Ok(CustomValue::Boolean(!flag)),
        (CustomValue::Interval(_) | CustomValue::DateTime(_) | CustomValue::DateTimeExtended(_), _)
            if adjustment == Negate =>
        {
            return Err(wrong_type());
        }
        (CustomValue::Integer(number), None) => moved((*number).into(), 1),
        (CustomValue::Integer(number), Some(CustomValue::Integer(by))) => {
            moved((*number).into(), (*by).into())
        }
        (CustomValue::LongInteger(number) | CustomValue::DateTimeExtended(number), None) => moved(*number, 1),
        (CustomValue::LongInteger(number), Some(CustomValue::LongInteger(by))) => moved(*number, *by),
        (CustomValue::DateTimeExtended(number), Some(CustomValue::DateTimeExtended(by))) => {
            moved(*number, *by)
        }
        (CustomValue::Interval(Interval(number)), None) => moved((*number).into(), 1),
        (CustomValue::Interval(Interval(number)), Some(CustomValue::Interval(Interval(by)))) => {
            moved((*number).into(), (*by).into())
        }
        (CustomValue::DateTime(DateTime(number)), None) => moved(*number, 1),
        (CustomValue::DateTime(DateTime(number)), Some(CustomValue::Interval(Interval(by)))) => {
            moved(*number, (*by).into())
        }
        _ => return Err(wrong_type()),
    };
    let number = number.ok_or_else(out_of_range)?;
    Ok(match before {
        CustomValue::Integer(_) => CustomValue::Integer(i32::try_from(number).map_err(|_| out_of_range())?),
        CustomValue::Interval(_) => {
            CustomValue::Interval(Interval(u32::try_from(number).map_err(|_| out_of_range())?))
        }
        CustomValue::DateTime(_) => CustomValue::DateTime(DateTime(number)),
        CustomValue::DateTimeExtended(_) => CustomValue::DateTimeExtended(number),
        _ => CustomValue::LongInteger(number),
    })
}

fn not_adjustable() -> Fault {
    Fault::new(ResultReason::InvalidDataType, "the attribute has no value that can be adjusted")
}
