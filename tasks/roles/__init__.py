"""What each model is asked (`protocols`) and how configuration becomes backends (`build`)."""
