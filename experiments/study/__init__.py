"""The main job: trained and constructed networks beside the theory."""
