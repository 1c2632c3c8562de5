//! Which instructions a machine has.

use std::fmt;
use std::sync::OnceLock;

use super::form::Forms;
use crate::space::{Element, Metric};

/// The instructions a kernel uses. Each is offered where the processor's family has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// What every machine has.
    Plain,
    /// AVX2, FMA and F16C.
    Avx2,
    /// AVX-512 with what Intel's Ice Lake and AMD's Zen 4 have: F, BW, DQ, VL, VNNI, VPOPCNTDQ.
    Avx512,
    /// Arm's NEON.
    Neon,
}

impl Level {
    const ALL: [Self; 4] = [Self::Plain, Self::Avx2, Self::Avx512, Self::Neon];

    /// Whether this machine has the instructions.
    #[must_use]
    pub fn is_here(self) -> bool {
        match self {
            Self::Plain => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
                    && is_x86_feature_detected!("popcnt")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_here()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
                    && is_x86_feature_detected!("avx512vpopcntdq")
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[allow(unreachable_patterns, reason = "the levels of other processors")]
            _ => false,
        }
    }

    /// All this machine has, the widest last.
    pub fn here() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|level| level.is_here())
    }

    /// The widest this machine has.
    #[must_use]
    pub fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| {
            let widest = Self::ALL.into_iter().rfind(|level| level.is_here());
            widest.unwrap_or(Self::Plain)
        })
    }

    /// The forms of a space's distance with these instructions.
    ///
    /// # Panics
    /// When this machine does not have them: what makes it safe to call the forms.
    pub(super) fn forms(self, metric: Metric, element: Element) -> &'static Forms {
        assert!(
            self == Self::best() || self.is_here(),
            "this machine does not have {self}"
        );
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => super::avx2::forms(metric, element),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => super::avx512::forms(metric, element),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => super::neon::forms(metric, element),
            _ => super::plain::forms(metric, element),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plain => "plain",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
            Self::Neon => "NEON",
        })
    }
}
