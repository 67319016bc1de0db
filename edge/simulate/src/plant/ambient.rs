//! The temperature around a machine: days, weather and season.

use std::f64::consts::TAU;

use super::demand::DAY;
use crate::random::Random;

/// Time constant of the weather in s.
const WEATHER_TIME: f64 = 1.5 * DAY;

/// The ambient temperature in °C.
#[derive(Clone, Debug, PartialEq)]
pub struct Ambient {
    /// Mean at the start, in °C.
    pub mean: f64,
    /// Amplitude of the day in K; warmest at 15:00.
    pub day: f64,
    /// Standard deviation of the weather in K.
    pub weather: f64,
    /// Change a day in K, by the season.
    pub season: f64,
    front: f64,
}

impl Ambient {
    /// Creates an ambient temperature; the weather starts at its mean.
    pub fn new(mean: f64, day: f64, weather: f64, season: f64) -> Self {
        Self { mean, day, weather, season, front: 0.0 }
    }

    /// Advances the weather by `step` seconds and returns the temperature at `seconds` after the start.
    pub(crate) fn advance(&mut self, seconds: f64, step: f64, random: &mut Random) -> f64 {
        let fade = (-step / WEATHER_TIME).exp();
        self.front = fade * self.front + self.weather * (1.0 - fade * fade).sqrt() * random.normal();
        let hour_angle = TAU * (seconds / DAY - 15.0 / 24.0);
        self.mean + self.season * seconds / DAY + self.day * hour_angle.cos() + self.front
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_afternoon_is_warmest_and_the_season_moves_the_mean() {
        let mut ambient = Ambient::new(20.0, 6.0, 0.0, 0.5);
        let mut random = Random::new(1, 0);
        let mut at = |hours: f64| ambient.advance(hours * 3600.0, 60.0, &mut random);
        assert!((at(15.0) - (26.0 + 0.5 * 15.0 / 24.0)).abs() < 1e-9);
        assert!((at(10.0 * 24.0 + 3.0) - (14.0 + 0.5 * (10.0 + 3.0 / 24.0))).abs() < 1e-9);
    }

    #[test]
    fn the_weather_has_its_deviation() {
        let mut ambient = Ambient::new(10.0, 0.0, 4.0, 0.0);
        let mut random = Random::new(2, 0);
        let values: Vec<f64> =
            (0..20_000).map(|hour| ambient.advance(f64::from(hour) * 3600.0, 3600.0, &mut random)).collect();
        let mean = values.iter().sum::<f64>() / 2e4;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2e4).sqrt();
        assert!((mean - 10.0).abs() < 0.6 && (deviation - 4.0).abs() < 0.5, "{mean} {deviation}");
    }
}
